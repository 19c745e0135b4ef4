# A pipeline's loop, played with a recorded release: sh pipeline.sh bad.csv
cd "$(dirname "$0")" && kept=$(mktemp -d) && trap 'rm -r "$kept"' EXIT
for minute in 5 10 15 20 25 30 35 40 45 50 55 60; do
  # in earnest: sleep 300, and fetch the last ten minutes; what was given before is ignored
  awk -F , -v now=$((1772442000 + 60 * minute)) 'NR == 1 || (now - 600 <= $3 && $3 < now)' "$1" > "$kept/new.csv"
  canaryjudge monitor --policy policy.yaml --data "$kept/new.csv" --state "$kept/state.json" --output "$kept/verdict.txt"
  code=$?
  case $code in
    0) echo "minute $minute: promote"; break ;;
    1) echo "minute $minute: roll back"; break ;;
    3 | 4) echo "minute $minute: wait" ;;
    *) break ;;  # the step could not be taken, and has said why
  esac
done
exit $code
