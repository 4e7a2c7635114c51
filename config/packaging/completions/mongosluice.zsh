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
    check)
      shift words; (( CURRENT-- ))
      _arguments '--schema=[the schema file]:FILE:_files' '--quiet[print refused documents only]' \
        '--candidate[check by the candidate]' '--help[print the usage]' '*:documents:_files'
      return
      ;;
    schema)
      if (( CURRENT == 3 )); then
        _values command 'lint[print every problem of schema files]'
      else
        shift 2 words; (( CURRENT -= 2 ))
        _arguments '--help[print the usage]' '*:schemas:_files'
      fi
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
    _values command 'check[check documents against a schema file]' 'schema[schema files]' \
      'status[one screen about a running proxy]' 'top[the same, live]'
    return
  fi
  _mongosluice_options $program
}

_mongosluice "$@"
