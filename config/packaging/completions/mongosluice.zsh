#compdef mongosluice
# Completion of mongosluice for zsh. The options are those of the program that is completed.

_mongosluice_options() {
  local line name value description action
  local -a fields flags
  for line in ${(f)"$($1 --print-options 2>/dev/null)"}; do
    fields=("${(@ps:\t:)line}")
    name=$fields[1] value=$fields[2] description=${${fields[3]//\[/\(}//\]/\)}
    case $value in
      '') flags+=("--${name}[${description//:/\\:}]"); continue ;;
      FILE) action=_files ;;
      FOLDER) action='_files -/' ;;
      *'|'*) action="(${value//|/ })" ;;
      *) action=' ' ;;
    esac
    flags+=("--${name}=[${description//:/\\:}]:${value//:/\\:}:$action")
  done
  _arguments -S $flags
}

_mongosluice() {
  local program=$words[1]
  case $words[2] in
    audit)
      shift words; (( CURRENT-- ))
      _arguments '--upstream=[the deployment]:URI: ' '--schemas=[schema files]:FOLDER:_files' \
        '--registry=[the schemas of a registry]:DATABASE.COLLECTION: ' '*--namespace=[this one only]:NAMESPACE: ' \
        '--sample=[so many documents at random]:NUMBER: ' '--rate=[documents a second at most]:NUMBER: ' \
        '--resume=[how far it came]:FILE:_files' '--candidate[check by the candidates]' \
        '--propose[the tightest bounds that hold]' '--read-alone[read without a check]' '--json[print JSON]' \
        '--help[print the usage]'
      return
      ;;
    check)
      shift words; (( CURRENT-- ))
      _arguments '--schema=[the schema file]:FILE:_files' '--quiet[print refused documents only]' \
        '--candidate[check by the candidate]' '--help[print the usage]' '*:documents:_files'
      return
      ;;
    schema)
      if (( CURRENT == 3 )); then
        _values command 'lint[print every problem of schema files]' 'diff[compare schema files, or versions]' 'push[schema files into a registry]' \
          'pull[schema files out of a registry]' 'list[the namespaces of a registry]' \
          'show[the versions of a namespace]' 'history[who changed a namespace, and when]' \
          'promote[make a version the newest]' 'rollback[bring an earlier revision back]' \
          'retire[end the acceptance of a version]' 'status[which proxies have it]'
        return
      fi
      local -a flags=('--help[print the usage]')
      local of=$words[3]
      if [[ $of != lint ]]; then
        flags+=('--registry=[the deployment that holds the registry]:URI: '
          '--collection=[its collection]:DATABASE.COLLECTION: ' '--config=[take both from this file]:FILE:_files')
      fi
      case $of in
        push|promote|rollback|retire)
          flags+=('--by=[who does it]:NAME: ' '--note=[why]:TEXT: '
            '--revision=[only if the namespace has this revision]:NUMBER: ') ;|
        push|promote|rollback|retire|pull) flags+=('--dry-run[change nothing]') ;|
        push|promote)
          flags+=('--keep=[how long the versions before stay accepted]:TIME: '
            '--retire-others[the versions before are not accepted any more]') ;|
        push)
          flags+=('--candidate[a shadow beside the accepted versions]' '--name=[of the version]:NAME: ' '--keep-settings[those of the registry stay]'
            '--allow-incompatible[also what is not backward compatible]') ;|
        retire)
          flags+=('--all[end the enforcement of the namespace]' '--others[all but the newest]'
            '--in=[after this time]:TIME: ') ;|
        pull) flags+=('--out=[the folder of the files]:FOLDER:_files -/' '--versions[all accepted versions]') ;|
        lint) flags+=('--bare[accept schemas without a namespace]' '--memory-max=[for all schemas]:BYTES: ') ;|
        list|show|history|status|diff) flags+=('--json[print JSON]') ;|
        status) flags+=('--wait=[until all proxies have it]:TIME: ') ;;
      esac
      shift 2 words; (( CURRENT -= 2 ))
      _arguments $flags '*:schemas:_files'
      return
      ;;
    status|top)
      local -a own=('--json[print the figures as JSON]')
      [[ $words[2] == top ]] && own=('--interval=[time between two looks]:MILLISECONDS: ')
      shift words; (( CURRENT-- ))
      _arguments '--admin=[the admin endpoint of the proxy]:HOST\:PORT: ' \
        '--config=[take address and token from this file]:FILE:_files' \
        '--token-file=[the token is the first line of this file]:FILE:_files' \
        '--ca-file=[what the certificate must be signed by]:FILE:_files' '--help[print the usage]' $own
      return
      ;;
  esac
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _values command 'audit[check stored documents against schemas]' 'check[check documents against a schema file]' 'schema[schema files]' \
      'status[one screen about a running proxy]' 'top[the same, live]'
    return
  fi
  _mongosluice_options $program
}

_mongosluice "$@"
