_flannelctl() {
    local IFS=$'\013' words=() piece glue= prefix i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && piece=$2
        if [[ ${COMP_WORDS[i]} == [:=]* ]] && ((${#words[@]} > 1)); then
            [[ $piece == [:=]* ]] || piece=${COMP_WORDS[i]}$piece
            words[-1]+=$piece glue=1
        elif [[ $glue ]]; then
            words[-1]+=$piece glue=
        else
            words+=("$piece")
        fi
    done
    prefix=${words[-1]%"$2"}
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) \
        FLANNELCTL_COMPLETE=bash 'flannelctl' -- "${words[@]}" 2>/dev/null))
    if [[ $prefix == *[:=]* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/:] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o bashdefault -o default -F _flannelctl flannelctl
