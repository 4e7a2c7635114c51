# Completion of mongosluice for bash. The options are those of the program that is completed.

# For each option a line with its name and a line with what its value is.
_mongosluice_options() {
  local line rest
  while IFS= read -r line; do
    rest=${line#*$'\t'}
    printf '%s\n' "--${line%%$'\t'*}" "${rest%%$'\t'*}"
  done < <("$1" --print-options 2>/dev/null)
}

# The values that the option $2 of the program $1 may have.
_mongosluice_values() {
  local wanted=${2//-/_} flag value
  while IFS= read -r flag && IFS= read -r value; do
    [ "${flag//-/_}" = "$wanted" ] || continue
    case $value in
      FILE) mapfile -t COMPREPLY < <(compgen -f -- "$3") && compopt -o filenames 2>/dev/null ;;
      FOLDER) mapfile -t COMPREPLY < <(compgen -d -- "$3") && compopt -o filenames 2>/dev/null ;;
      *'|'*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$3") ;;
    esac
    return
  done < <(_mongosluice_options "$1")
}

_mongosluice_flags() {
  local flags=() flag value
  while IFS= read -r flag && IFS= read -r value; do
    flags+=("$flag")
  done < <(_mongosluice_options "$1")
  _mongosluice_words "${flags[*]}" "$2"
}

_mongosluice_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_mongosluice_files() {
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
  compopt -o filenames 2>/dev/null
}

# The flags of `mongosluice schema $1`.
_mongosluice_schema_flags() {
  local place="--registry --collection --config" author="--by --note --revision --dry-run"
  case $1 in
    push) echo "--candidate --name --keep --retire-others --keep-settings --allow-incompatible $author $place --help" ;;
    promote) echo "--keep --retire-others $author $place --help" ;;
    rollback) echo "$author $place --help" ;;
    retire) echo "--others --all --in $author $place --help" ;;
    pull) echo "--out --versions --dry-run $place --help" ;;
    list | show | history) echo "--json $place --help" ;;
    diff) echo "--json $place --help" ;;
    status) echo "--json --wait $place --help" ;;
    lint) echo "--bare --memory-max --help" ;;
    *) echo "--help" ;;
  esac
}

_mongosluice() {
  local program=$1 word=$2 before=$3
  COMPREPLY=()
  # "--log.level=de" comes as three words where = separates words
  if [ "$word" = "=" ]; then word=; fi
  if [ "$before" = "=" ]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
  case ${COMP_WORDS[1]} in
    audit)
      case $before in
        --schemas | --resume) _mongosluice_files "$word" ;;
        --upstream | --registry | --namespace | --sample | --rate) ;;
        *) _mongosluice_words "--upstream --schemas --registry --namespace --sample --rate --resume --candidate --propose --read-alone --json --help" "$word" ;;
      esac
      return
      ;;
    check)
      if [ "$before" != --schema ] && [[ $word == -* ]]; then
        _mongosluice_words "--schema --quiet --candidate --help" "$word"
      else
        _mongosluice_files "$word"
      fi
      return
      ;;
    schema)
      if [ "$COMP_CWORD" -eq 2 ]; then
        _mongosluice_words "lint diff push pull list show history promote rollback retire status" "$word"
      elif [[ $word == -* ]]; then
        _mongosluice_words "$(_mongosluice_schema_flags "${COMP_WORDS[2]}")" "$word"
      else
        _mongosluice_files "$word"
      fi
      return
      ;;
    status | top)
      case $before in
        --config | --token-file | --ca-file) _mongosluice_files "$word" ;;
        --admin | --interval) ;;
        *)
          local own=--json
          if [ "${COMP_WORDS[1]}" = top ]; then own=--interval; fi
          _mongosluice_words "--admin --config --token-file --ca-file --help $own" "$word"
          ;;
      esac
      return
      ;;
  esac
  if [[ $before == --* ]]; then
    _mongosluice_values "$program" "$before" "$word"
    [ ${#COMPREPLY[@]} -eq 0 ] || return
  fi
  if [[ $word == --*=* ]]; then
    _mongosluice_values "$program" "${word%%=*}" "${word#*=}"
  elif [ "$COMP_CWORD" -eq 1 ] && [[ $word != -* ]]; then
    _mongosluice_words "audit check schema status top" "$word"
  else
    _mongosluice_flags "$program" "$word"
  fi
}

complete -F _mongosluice mongosluice
