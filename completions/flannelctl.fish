complete --keep-order --exclusive --command flannelctl --arguments "(FLANNELCTL_COMPLETE=fish flannelctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
