# Completion of mongosluice for fish. The options are those of the program that is installed.

complete -c mongosluice -f

complete -c mongosluice -n __fish_use_subcommand -a check -d 'check documents against a schema file'
complete -c mongosluice -n __fish_use_subcommand -a schema -d 'schema files'

complete -c mongosluice -n '__fish_seen_subcommand_from check' -F
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l schema -r -F -d 'the schema file'
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l quiet -d 'print refused documents only'
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l candidate -d 'check by the candidate'
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l help -d 'print the usage'

complete -c mongosluice -n '__fish_seen_subcommand_from schema; and not __fish_seen_subcommand_from lint' -a lint -d 'print every problem of schema files'
complete -c mongosluice -n '__fish_seen_subcommand_from lint' -F
complete -c mongosluice -n '__fish_seen_subcommand_from lint' -l help -d 'print the usage'

complete -c mongosluice -n __fish_use_subcommand -a status -d 'one screen about a running proxy'
complete -c mongosluice -n __fish_use_subcommand -a top -d 'the same, live'
set -l asks '__fish_seen_subcommand_from status top'
complete -c mongosluice -n $asks -l admin -x -d 'the admin endpoint of the proxy'
complete -c mongosluice -n $asks -l config -r -F -d 'take address and token from this file'
complete -c mongosluice -n $asks -l token-file -r -F -d 'the token is the first line of this file'
complete -c mongosluice -n $asks -l ca-file -r -F -d 'what the certificate must be signed by'
complete -c mongosluice -n $asks -l help -d 'print the usage'
complete -c mongosluice -n '__fish_seen_subcommand_from status' -l json -d 'print the figures as JSON'
complete -c mongosluice -n '__fish_seen_subcommand_from top' -l interval -x -d 'milliseconds between two looks'

for line in (mongosluice --print-options 2>/dev/null)
    set -l fields (string split \t -- $line)
    set -l flag -c mongosluice -n 'not __fish_seen_subcommand_from check schema status top' -l $fields[1] -d $fields[3]
    switch $fields[2]
        case ''
            complete $flag
        case FILE FOLDER
            complete $flag -r -F
        case '*|*'
            complete $flag -x -a (string replace --all '|' ' ' -- $fields[2])
        case '*'
            complete $flag -x
    end
end
