#!/bin/sh
# Secrets come as files, so that neither `inspect` nor a child process shows them: NOTIFIER_X_FILE is read into NOTIFIER_X.
set -eu
for name in $(env | sed -n 's/^\(NOTIFIER_[A-Z_]*\)_FILE=.*/\1/p'); do
  file=$(printenv "${name}_FILE")
  case "$name" in NOTIFIER_MAIL__CA) continue ;; esac  # mail.ca_file is a setting of that name
  [ -r "$file" ] || { echo "entry: $file, which ${name}_FILE names, cannot be read" >&2; exit 2; }
  export "$name=$(cat "$file")"
  unset "${name}_FILE"
done
exec "$@"
