# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_flannelctl_global_optspecs
    string join \n etcd-endpoints= etcd-prefix= etcd-cafile= etcd-certfile= etcd-keyfile= etcd-username= etcd-password= etcd-password-file= etcd-timeout= v/verbose h/help V/version
end

function __fish_flannelctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_flannelctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_flannelctl_using_subcommand
    set -l cmd (__fish_flannelctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_needs_command" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_needs_command" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "agent" -d 'Run the overlay on this host, in the foreground (flannel\'s agent)'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "diagnose" -d 'Find where packets between nodes are lost, why, and what to do'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "docker-config" -d 'Print or write what Docker needs to live in this node\'s subnet'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "init" -d 'Write the network config that all agents read'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "lab" -d 'A whole network on this one machine, to try and to break'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "leases" -d 'Show who owns which subnet'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "generate" -d 'Write manual pages or completions'
complete -c flannelctl -n "__fish_flannelctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l iface -d 'Interface (name or IP address) for traffic between hosts; repeat to try several in order' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l iface-regex -d 'Regular expression for the interface\'s addresses, then names; repeatable, tried after --iface' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l iface-can-reach -d 'Use the interface from which this address is reached; tried last' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l public-ip -d 'Address that other hosts reach this one by, where it is not the interface\'s own (NAT)' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l public-ipv6 -d 'The same for IPv6' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l subnet-file -d 'File for Docker; its folder holds all runtime files of this agent [default: /run/flannel/subnet.env]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l subnet-lease-renew-margin -d 'Refresh the lease at the latest this many minutes before it ends, 1 to 1439 [default: 60]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l ip-masq -d 'Masquerade traffic that leaves the overlay' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l ip-masq-fully-random-disable -d 'Do not ask for fully random source ports when masquerading' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l iptables-resync -d 'Seconds between two looks at the firewall rules; 0 turns them off [default: 5]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l iptables-forward-rules -d 'Accept the overlay\'s traffic in the FORWARD chain [default: true]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l ip-blackhole-route -d 'Add a blackhole route for the own subnet, so that packets for absent containers do not loop' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l healthz-ip -d 'Address for /healthz, /readyz and /metrics [default: 0.0.0.0]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l healthz-port -d 'Port for /healthz, /readyz and /metrics; 0 = none [default: 0]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l udp-offload -d 'udp: use the kernel\'s segmentation offloads where they are (auto), or send each packet alone (off) [default: auto]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l udp-accept -d 'udp: accept packets of peers, from their own subnets (peers), or anything from anyone, as flanneld does (any) [default: peers]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l diagnose -d 'Help `flannelctl diagnose` on other nodes: watch its packets and tell this node\'s state through etcd (on), or refuse (off) [default: on]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l udp-queues -d 'udp: queues of the device, with two threads each; 0 = as the processors suggest [default: 0]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l vmodule -d 'klog flag of flanneld, accepted and without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l log_backtrace_at -d 'klog flag of flanneld, accepted and without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l kube-subnet-mgr -d 'Kubernetes mode of flanneld, refused' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l kube-api-url -d 'Kubernetes only, without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l kube-annotation-prefix -d 'Kubernetes only, without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l kubeconfig-file -d 'Kubernetes only, without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l net-config-path -d 'Kubernetes only, without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l set-node-network-unavailable -d 'Kubernetes only, without effect' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l cleanup -d 'Remove everything that the agent made on this host (devices, routes, rules, subnet file) and exit'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -l flanneld-version -d 'Print the version and exit (flanneld\'s spelling)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -s h -l help -d 'Print help'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand agent" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l source -d 'From where to send: the host, a container, or the local container with this address [default: host and container]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l count -d 'Packets a path, 1 to 1000; more find small losses [default: 5]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l subnet-file -d 'The agent\'s file for Docker on this host [default: /run/flannel/subnet.env]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l only -d 'Report only these checks' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l skip -d 'Leave these checks out' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -s o -l output -d 'Form of the output' -r -f -a "table\t'For people: the verdict, the packet\'s way, the checks'
json\t'For programs (flannelctl/v1)'
short\t'The verdict in a few lines, to paste into a chat'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l junit -d 'Also write the checks as JUnit XML' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l write -d 'Also write the probe packets of all nodes to one pcapng file, with a comment for each' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l timeout -d 'How long it may take; each round of a mesh has this time, and each packet beyond 5 adds 30 ms [default: 10s, and half a second for each node beyond 4, up to 20s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l save-case -d 'Also write everything that was seen, as JSON, for a report to the authors; look through it before you hand it on: it holds addresses and firewall rules' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l from-case -d 'Judge a file of --save-case again; nothing is sent' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l all -d 'From this node to every other one'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l mesh -d 'From every node that runs flannelctl\'s agent to every other one'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -l list-checks -d 'List all checks'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -a "explain" -d 'Explain a check: symptom, cause, remedy. Works offline'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and not __fish_seen_subcommand_from explain help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Explain a check: symptom, cause, remedy. Works offline'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand diagnose; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l subnet-file -d 'The agent\'s file; read as data, never executed [default: /run/flannel/subnet.env]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l format -d 'Form of the output' -r -f -a "sysconfig\t'DOCKER_NETWORK_OPTIONS=" --bip=… --ip-masq=… --mtu=…", for /etc/sysconfig/docker-network'
opts\t'The output of flannel\'s mk-docker-opts.sh, byte for byte'
daemon-json\t'Docker\'s config file with our options merged in; other keys are kept'
systemd\t'A drop-in for docker.service that reads the options afresh at each start'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l write -d 'Write to the file instead of stdout, in one step [default PATH: that of the format, see below]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s k -l key -d 'Name of the variable that holds all options (sysconfig, opts, systemd)' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l daemon-json -d 'Docker\'s own config: merged into (daemon-json), else looked at for options given twice [default: the file that --write names, else /etc/docker/daemon.json]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l docker-unit -d 'systemd: the unit whose ExecStart is extended [default: docker.service of this host]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s i -l individual -d 'opts: one DOCKER_OPT_* line an option (default: both forms)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s c -l combined -d 'opts: all options in one line (default: both forms)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s m -l no-ip-masq -d 'Leave ip-masq out'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -l allow-direct-routing -d 'Let other hosts reach containers directly; Docker 28.2 and later drop such traffic otherwise'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand docker-config" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l network -d 'The whole overlay; every node gets a subnet of it' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l subnet-len -d 'Prefix length of a node\'s subnet [default: 24, or network + 2 where that does not fit]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l subnet-min -d 'First subnet to give out [default: the network\'s second]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l subnet-max -d 'Last subnet to give out [default: the network\'s last]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l backend -d 'How packets travel between hosts [default: vxlan]' -r -f -a "udp\t'Packets in UDP, forwarded by the agent itself: works everywhere'
vxlan\t'The kernel\'s VXLAN'
host-gw\t'Plain routes; all hosts must be on one link'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l vni -d 'vxlan: network identifier, 1 to 9999999 [default: 1]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l port -d 'vxlan, udp: UDP port [default: 8472 for vxlan, 8285 for udp]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l mtu -d 'vxlan: MTU of the underlay to count from [default: that of the interface]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l ipv6-network -d 'IPv6 half of a dual-stack overlay' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l ipv6-subnet-len -d 'Prefix length of a node\'s IPv6 subnet [default: 64, or network + 2]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l ipv6-subnet-min -d 'First IPv6 subnet to give out' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l ipv6-subnet-max -d 'Last IPv6 subnet to give out' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -s f -l file -d 'Read the config from a YAML or JSON file with flannel\'s keys instead; - reads stdin' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l gbp -d 'vxlan: group-based policy extension'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l learning -d 'vxlan: let the kernel learn addresses from traffic'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l direct-routing -d 'vxlan: plain routes between hosts on one link'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l dry-run -d 'Check everything and print what would be written; write nothing'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -s y -l yes -d 'Replace an existing config without asking'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -l force -d 'Write even if live leases fall outside'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand init" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l nodes -d 'How many hosts [default: 3]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l backend -d 'How packets travel between them [default: vxlan]' -r -f -a "udp\t'Packets in UDP, forwarded by the agent itself: works everywhere'
vxlan\t'The kernel\'s VXLAN'
host-gw\t'Plain routes; all hosts must be on one link'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd -d 'An etcd to use, reached from this machine (http only); `embedded` for the store of the lab itself [default: the program etcd if it is on the path, else embedded]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "up" -d 'Raise a lab and leave it running in the background'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "exec" -d 'Run a program in a host or container of the lab; its exit code is passed on'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "status" -d 'Show the hosts, their subnets, and whether their agents run'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "fault" -d 'Put a fault into a host, to watch `diagnose` find it; without a name, list them'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "bench" -d 'Measure the data paths side by side on this machine'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "down" -d 'Take the lab down, with everything that it made'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "hold" -d 'Raise a lab and hold it until SIGTERM'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "idle" -d 'What runs in a container of the lab: nothing, until it is ended'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and not __fish_seen_subcommand_from up exec status fault bench down hold idle help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l nodes -d 'How many hosts [default: 3]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l backend -d 'How packets travel between them [default: vxlan]' -r -f -a "udp\t'Packets in UDP, forwarded by the agent itself: works everywhere'
vxlan\t'The kernel\'s VXLAN'
host-gw\t'Plain routes; all hosts must be on one link'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd -d 'An etcd to use, reached from this machine (http only); `embedded` for the store of the lab itself [default: the program etcd if it is on the path, else embedded]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from up" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from exec" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -s o -l output -d 'Form of the output' -r -f -a "table\t'For people'
json\t'For programs (flannelctl/v1)'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -l undo -d 'Take the fault out again'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -s h -l help -d 'Print help'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from fault" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l rounds -d 'How often everything is measured [default: 3]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l seconds -d 'How long one load is measured; seven a path, underlay and round [default: 0.4]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l underlay -d 'The cables between the hosts [default: both]' -r -f -a "veth\t'veth as it is: packets of 64 KiB cross whole'
wire\t'No segmentation or checksum offload, GRO: datagrams of at most 1500 bytes cross'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l path -d 'The data paths [default: all that there are; vxlan is always among them]' -r -f -a "bare\t'Node to node: no overlay, no container'
host-gw\t'The kernel\'s routing between containers, no encapsulation'
vxlan\t'The kernel\'s vxlan; what the others are compared with'
udp\t'Our udp backend'
udp-plain\t'Our udp backend with --udp-offload=off'
peer-vxlan\t'The vxlan backend of --peer-binary'
peer-udp\t'The udp backend of --peer-binary'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l peer-binary -d 'A flanneld to measure beside ours, with its vxlan and its udp backend' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l binary -d 'The flannelctl whose agents are measured [default: this one]' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l agent-arg -d 'One more argument of our agents with the udp backend (--agent-arg=--udp-queues=2); repeatable' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -s o -l output -d 'Form of the output' -r -f -a "table\t'For people'
json\t'For programs (flannelctl/v1, kind Benchmark), with all samples'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l json -d 'Also write all samples as JSON to this file' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l svg -d 'Also write a bar chart to this file' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -l quick -d 'One round of 0.2 s a load, where --rounds and --seconds do not say otherwise: for a first look'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from bench" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -s h -l help -d 'Print help'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from down" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l nodes -d 'How many hosts [default: 3]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l backend -d 'How packets travel between them [default: vxlan]' -r -f -a "udp\t'Packets in UDP, forwarded by the agent itself: works everywhere'
vxlan\t'The kernel\'s VXLAN'
host-gw\t'Plain routes; all hosts must be on one link'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd -d 'An etcd to use, reached from this machine (http only); `embedded` for the store of the lab itself [default: the program etcd if it is on the path, else embedded]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from hold" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -s h -l help -d 'Print help'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from idle" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "up" -d 'Raise a lab and leave it running in the background'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "exec" -d 'Run a program in a host or container of the lab; its exit code is passed on'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the hosts, their subnets, and whether their agents run'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "fault" -d 'Put a fault into a host, to watch `diagnose` find it; without a name, list them'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "bench" -d 'Measure the data paths side by side on this machine'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "down" -d 'Take the lab down, with everything that it made'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "hold" -d 'Raise a lab and hold it until SIGTERM'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "idle" -d 'What runs in a container of the lab: nothing, until it is ended'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand lab; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -s o -l output -d 'Form of the output' -r -f -a "table\t'For people'
wide\t'With MAC, VNI, IPv6, etcd lease and revision'
json\t'For programs (flannelctl/v1); with --watch one object a line'
yaml\t'The same as YAML'
name\t'The keys\' names alone'"
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -s w -l watch -d 'Stay and show what changes: ADDED, CHANGED, RENEWED, REMOVED (table and json only)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand leases" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l out -d 'Folder for the files; it is made if it is not there' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-endpoints -d 'Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-prefix -d 'Folder of flannel\'s keys [default: /coreos.com/network]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-cafile -d 'CA certificate(s) in PEM that etcd\'s certificate is checked against' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-certfile -d 'Client certificate in PEM (with --etcd-keyfile)' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-keyfile -d 'Key of the client certificate in PEM' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-username -d 'User for etcd\'s authentication' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-password -d 'Password of that user; every local user can read it in the process list, a file cannot' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-password-file -d 'File whose first line is the password' -r -F
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -l etcd-timeout -d 'How long one command waits for etcd [default: 5s]' -r
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -s v -l verbose -d 'Say more on stderr (-v: debug, -vv: trace)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand generate" -s V -l version -d 'Print version'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "agent" -d 'Run the overlay on this host, in the foreground (flannel\'s agent)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "diagnose" -d 'Find where packets between nodes are lost, why, and what to do'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "docker-config" -d 'Print or write what Docker needs to live in this node\'s subnet'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "init" -d 'Write the network config that all agents read'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "lab" -d 'A whole network on this one machine, to try and to break'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "leases" -d 'Show who owns which subnet'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "generate" -d 'Write manual pages or completions'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and not __fish_seen_subcommand_from agent diagnose docker-config init lab leases generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from diagnose" -f -a "explain" -d 'Explain a check: symptom, cause, remedy. Works offline'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "up" -d 'Raise a lab and leave it running in the background'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "exec" -d 'Run a program in a host or container of the lab; its exit code is passed on'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "status" -d 'Show the hosts, their subnets, and whether their agents run'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "fault" -d 'Put a fault into a host, to watch `diagnose` find it; without a name, list them'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "bench" -d 'Measure the data paths side by side on this machine'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "down" -d 'Take the lab down, with everything that it made'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "hold" -d 'Raise a lab and hold it until SIGTERM'
complete -c flannelctl -n "__fish_flannelctl_using_subcommand help; and __fish_seen_subcommand_from lab" -f -a "idle" -d 'What runs in a container of the lab: nothing, until it is ended'
