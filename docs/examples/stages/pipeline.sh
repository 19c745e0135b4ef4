# A pipeline's loop, played with recorded releases: sh pipeline.sh good good, or with another file at half of the traffic: sh pipeline.sh good late
cd "$(dirname "$0")" && kept=$(mktemp -d) && trap 'rm -r "$kept"' EXIT
share=1
for minute in 5 10 15 20 25 30 35 40 45 50 55 60 65 70 75 80 85 90; do
  # in earnest: set the canary's share to $share %, sleep 300, and fetch the last ten minutes; what was given before is ignored
  case $share in 50) release=$2 ;; *) release=$1 ;; esac
  awk -F , -v now=$((1772442000 + 60 * minute)) 'NR == 1 || (now - 300 <= $3 && $3 < now)' "$release-$share.csv" > "$kept/new.csv"
  canaryjudge rollout --policy policy.yaml --data "$kept/new.csv" --state "$kept/state.json" --output "$kept/verdict.txt" --also "gitlab=$kept/env"
  code=$?
  action=$(sed -n 's/^CANARYJUDGE_ACTION=//p' "$kept/env") share=$(sed -n 's/^CANARYJUDGE_SHARE=//p' "$kept/env")
  echo "minute $minute: $action, $share % of the traffic"
  case $code in 3 | 4) ;; *) break ;; esac # complete, rolled back, or a step that could not be taken
done
exit $code
