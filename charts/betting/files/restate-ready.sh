# Whether Restate takes requests: its ingress is well, and it is not about to end. Its image has no program that asks by HTTP.
well() {
    exec 3<> /dev/tcp/127.0.0.1/8080 || return
    printf 'GET /restate/health HTTP/1.0\r\n\r\n' >&3
    IFS=' ' read -r -t 2 _ status _ <&3
    exec 3<&-
    [[ $status == 200 ]]
}

for pause in 1 1 0; do
    [[ ! -e /tmp/ending ]] || exit 1
    if well 2> /dev/null; then exit 0; fi
    sleep "$pause"
done
exit 1
