# Completion of mongosluice for fish. It asks the installed program for its options.

complete -c mongosluice -f

complete -c mongosluice -n __fish_use_subcommand -a audit -d 'check stored documents against schemas'
complete -c mongosluice -n __fish_use_subcommand -a check -d 'check documents against a schema file'
complete -c mongosluice -n __fish_use_subcommand -a schema -d 'schema files and registries'

set -l audit '__fish_seen_subcommand_from audit'
complete -c mongosluice -n $audit -l upstream -x -d 'the deployment'
complete -c mongosluice -n $audit -l schemas -r -F -d 'a folder of schema files'
complete -c mongosluice -n $audit -l registry -x -d 'the schemas of a registry'
complete -c mongosluice -n $audit -l namespace -x -d 'this one only'
complete -c mongosluice -n $audit -l sample -x -d 'a number of random documents'
complete -c mongosluice -n $audit -l rate -x -d 'the maximal documents per second'
complete -c mongosluice -n $audit -l resume -r -F -d 'a file for continuing later'
complete -c mongosluice -n $audit -l candidate -d 'check by the candidates'
complete -c mongosluice -n $audit -l propose -d 'the tightest bounds that hold'
complete -c mongosluice -n $audit -l read-alone -d 'read without a check'
complete -c mongosluice -n $audit -l json -d 'print JSON'
complete -c mongosluice -n $audit -l help -d 'print the usage'

complete -c mongosluice -n '__fish_seen_subcommand_from check' -F
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l schema -r -F -d 'the schema file'
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l quiet -d 'print refused documents only'
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l candidate -d 'check by the candidate'
complete -c mongosluice -n '__fish_seen_subcommand_from check' -l help -d 'print the usage'

set -l schema '__fish_seen_subcommand_from schema; and not __fish_seen_subcommand_from lint diff push pull list show history promote rollback retire status'
complete -c mongosluice -n $schema -a lint -d 'print every problem of schema files'
complete -c mongosluice -n $schema -a diff -d 'compare schema files, or versions of a registry'
complete -c mongosluice -n $schema -a push -d 'schema files into a registry'
complete -c mongosluice -n $schema -a pull -d 'schema files out of a registry'
complete -c mongosluice -n $schema -a list -d 'the namespaces of a registry'
complete -c mongosluice -n $schema -a show -d 'the versions of a namespace'
complete -c mongosluice -n $schema -a history -d 'the changes of a namespace'
complete -c mongosluice -n $schema -a promote -d 'make a version the newest'
complete -c mongosluice -n $schema -a rollback -d 'bring an earlier revision back'
complete -c mongosluice -n $schema -a retire -d 'end the acceptance of a version'
complete -c mongosluice -n $schema -a status -d 'the state of the proxies'
set -l fleet '__fish_seen_subcommand_from schema; and __fish_seen_subcommand_from diff push pull list show history promote rollback retire status'
complete -c mongosluice -n $fleet -l registry -x -d 'the deployment that holds the registry'
complete -c mongosluice -n $fleet -l collection -x -d 'its collection'
complete -c mongosluice -n $fleet -l config -r -F -d 'take both from this file'
complete -c mongosluice -n $fleet -l help -d 'print the usage'
set -l changes '__fish_seen_subcommand_from push promote rollback retire'
complete -c mongosluice -n $changes -l by -x -d 'the author of the change'
complete -c mongosluice -n $changes -l note -x -d 'the reason of the change'
complete -c mongosluice -n $changes -l revision -x -d 'only if the namespace has this revision'
complete -c mongosluice -n '__fish_seen_subcommand_from push promote rollback retire pull' -l dry-run -d 'change nothing'
complete -c mongosluice -n '__fish_seen_subcommand_from push promote' -l keep -x -d 'the time for which older versions stay accepted'
complete -c mongosluice -n '__fish_seen_subcommand_from push promote' -l retire-others -d 'stop accepting older versions'
complete -c mongosluice -n '__fish_seen_subcommand_from push' -F
complete -c mongosluice -n '__fish_seen_subcommand_from push' -l candidate -d 'a shadow beside the accepted versions'
complete -c mongosluice -n '__fish_seen_subcommand_from push' -l name -x -d 'of the version'
complete -c mongosluice -n '__fish_seen_subcommand_from push' -l keep-settings -d 'keep level, action, unproved and allow_bypass of the registry'
complete -c mongosluice -n '__fish_seen_subcommand_from push' -l allow-incompatible -d 'push an incompatible schema too'
complete -c mongosluice -n '__fish_seen_subcommand_from retire' -l all -d 'end the enforcement of the namespace'
complete -c mongosluice -n '__fish_seen_subcommand_from retire' -l others -d 'all but the newest'
complete -c mongosluice -n '__fish_seen_subcommand_from retire' -l in -x -d 'after this time'
complete -c mongosluice -n '__fish_seen_subcommand_from pull' -l out -r -F -d 'the folder of the files'
complete -c mongosluice -n '__fish_seen_subcommand_from pull' -l versions -d 'all accepted versions and the candidate'
complete -c mongosluice -n '__fish_seen_subcommand_from list show history' -l json -d 'print JSON'
complete -c mongosluice -n '__fish_seen_subcommand_from schema; and __fish_seen_subcommand_from status' -l wait -x -d 'until all proxies have it'
complete -c mongosluice -n '__fish_seen_subcommand_from diff' -l json -d 'print JSON'
complete -c mongosluice -n '__fish_seen_subcommand_from lint diff' -F
complete -c mongosluice -n '__fish_seen_subcommand_from lint' -l bare -d 'accept schemas without a namespace'
complete -c mongosluice -n '__fish_seen_subcommand_from lint' -x -l memory-max -d 'memory for all schemas'
complete -c mongosluice -n '__fish_seen_subcommand_from lint diff' -l help -d 'print the usage'

complete -c mongosluice -n __fish_use_subcommand -a status -d 'one screen about a running proxy'
complete -c mongosluice -n __fish_use_subcommand -a top -d 'the same, live'
set -l asks '__fish_seen_subcommand_from status top; and not __fish_seen_subcommand_from schema'
complete -c mongosluice -n $asks -l admin -x -d 'the admin endpoint of the proxy'
complete -c mongosluice -n $asks -l config -r -F -d 'take address and token from this file'
complete -c mongosluice -n $asks -l token-file -r -F -d 'the token is the first line of this file'
complete -c mongosluice -n $asks -l ca-file -r -F -d 'the authorities of the certificate'
complete -c mongosluice -n $asks -l help -d 'print the usage'
complete -c mongosluice -n '__fish_seen_subcommand_from status' -l json -d 'print the figures as JSON'
complete -c mongosluice -n '__fish_seen_subcommand_from top' -l interval -x -d 'milliseconds between two updates'

for line in (mongosluice --print-options 2>/dev/null)
    set -l fields (string split \t -- $line)
    set -l flag -c mongosluice -n 'not __fish_seen_subcommand_from audit check schema status top' -l $fields[1] -d $fields[3]
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
