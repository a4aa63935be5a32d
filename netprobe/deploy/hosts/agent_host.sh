# The agent on a plain host: install, remove, state. Fixed text; every word it is given was checked by netprobe.
#
# Rules: what arrives is staged where a reboot empties it, checked, made ready beside the old agent, and put
# in place by one rename. Whatever ends us half-way, the trap removes what is not in place; what even a trap
# cannot (a power cut within the last step) is swept by whoever comes next.
set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

if [ "$(id -u)" = 0 ]; then
    root=yes home=/var/lib/netprobe-agent spool=/var/lib/netprobe-agent-spool staging=/run
else
    root=no home=$HOME/.local/share/netprobe-agent spool=$HOME/.local/share/netprobe-agent-spool
    staging=${XDG_RUNTIME_DIR:-$HOME/.local/share}
fi
unit=/etc/systemd/system/netprobe-agent.service
turn=$staging/netprobe-agent.turn
owner=64771 # a user that nothing else has: within what systemd keeps for its own dynamic users

fail() {
    echo "$1" >&2
    exit 1
}

has_systemd() { [ "$root" = yes ] && [ -d /run/systemd/system ]; }

sweep() { rm -rf "$home".new "$home".old "$staging"/netprobe-agent.??????; }

# What the agent is told of the bus beside its address.
road() {
    [ ! -s "$home/ca.crt" ] || printf ' --ca %s' "$home/ca.crt"
    [ -z "$at" ] || printf ' --bus-at %s' "$at"
}

# Two of us at once would sweep each other's work. Whoever can open a file can lock it for ever, so the lock is a
# folder that only its owner opens, where only its owner makes folders. It goes with us: who locked one that is
# gone meanwhile tries again. The agent must not inherit it: see start.
lock() {
    mkdir -p "$staging"
    for _ in 1 2 3 4 5; do
        mkdir -m 700 "$turn" 2>/dev/null || :
        [ -O "$turn" ] && [ ! -L "$turn" ] && [ "$(stat -c %a "$turn" 2>/dev/null)" = 700 ] || continue
        exec 9<"$turn"
        flock -n 9 || fail "another deploy is under way on this host"
        [ "$(stat -L -c %d:%i /proc/self/fd/9)" != "$(stat -c %d:%i "$turn" 2>/dev/null)" ] || return 0
    done
    fail "$turn is not ours to lock: see who made it"
}

unlock() { rmdir "$turn"; }

# The process that we started, if it still is the one.
find_agent() {
    pid=$(cat "$home/pid" 2>/dev/null) || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$home/agent.pyz"
}

# In a unit % begins a specifier, and an IPv6 zone in the bus has one. Left open on purpose: PrivateUsers would
# take away raw sockets, MemoryDenyWriteExecute breaks Python's ctypes.
write_unit() {
    cat <<UNIT
[Unit]
Description=netprobe agent $agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/env python3 $home/agent.pyz serve --agent $agent --bus $(printf %s "$bus" | sed s/%/%%/g) --port $port --seed %d/seed --spool %S/netprobe-agent-spool$(road)
DynamicUser=yes
LoadCredential=seed:$home/seed
StateDirectory=netprobe-agent-spool
AmbientCapabilities=CAP_NET_RAW
CapabilityBoundingSet=CAP_NET_RAW
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
MemoryMax=256M
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
UNIT
}

start() {
    if has_systemd; then
        write_unit >"$unit"
        systemctl daemon-reload
        systemctl enable --quiet --now netprobe-agent.service
        sleep 1
        systemctl is-active --quiet netprobe-agent.service
        return
    fi
    mkdir -p -m 700 "$spool"
    set -- python3 "$home/agent.pyz" serve --agent "$agent" --bus "$bus" --port "$port" \
        --seed "$home/seed" --spool "$spool"
    [ ! -s "$home/ca.crt" ] || set -- "$@" --ca "$home/ca.crt"
    [ -z "$at" ] || set -- "$@" --bus-at "$at"
    if [ "$root" = yes ]; then
        chown -R "$owner:$owner" "$spool" "$home/seed"
        set -- setpriv --reuid "$owner" --regid "$owner" --clear-groups --no-new-privs \
            --bounding-set=-all,+net_raw --inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw "$@"
    fi
    cd /
    setsid "$@" </dev/null >"$home/log" 2>&1 9<&- &
    echo "$!" >"$home/pid"
    for _ in 1 2 3 4 5 6 7 8; do # one that cannot listen or read its key says so at once
        sleep 0.25
        kill -0 "$!" 2>/dev/null || return 1
    done
}

halt() {
    if has_systemd && [ -e "$unit" ]; then
        systemctl disable --quiet --now netprobe-agent.service
        rm -f "$unit"
        systemctl daemon-reload
    fi
    find_agent || return 0
    kill "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        find_agent || return 0
        sleep 0.25
    done
    kill -9 "$pid"
}

# SHA256 AGENT BUS PORT AT; on stdin the nkey seed on a line of its own, the bus's authority as base64 on
# another, which may be empty, then the archive.
install() {
    sum=$1 agent=$2 bus=$3 port=$4 at=$5 switched=no
    mkdir -p "${home%/*}"
    lock
    sweep
    stage=$(mktemp -d "$staging/netprobe-agent.XXXXXX")
    trap 'rm -rf "$stage" "$home.new"; restore; unlock' EXIT
    trap 'exit 1' HUP INT TERM PIPE
    IFS= read -r seed && IFS= read -r ca || fail "the connection ended before anything arrived"
    cat >"$stage/agent.pyz"
    echo "$sum  $stage/agent.pyz" | sha256sum -c --status 2>/dev/null ||
        fail "the checksum is wrong: not all of the agent arrived"
    mkdir "$home.new"
    cp "$stage/agent.pyz" "$home.new/agent.pyz"
    python3 "$home.new/agent.pyz" --version >/dev/null || fail "the agent does not run with this host's Python"
    (umask 077 && printf '%s\n' "$seed" >"$home.new/seed")
    printf %s "$ca" | base64 -d >"$home.new/ca.crt" || fail "the bus's authority did not arrive whole"
    printf 'sha256=%s\nagent=%s\nbus=%s\nat=%s\nport=%s\n' "$sum" "$agent" "$bus" "$at" "$port" >"$home.new/facts"
    halt
    [ ! -d "$home" ] || mv "$home" "$home.old"
    switched=yes
    mv "$home.new" "$home"
    start || fail "the agent ended at once: $(tail -n 1 "$home/log" 2>/dev/null | cut -c -160)"
    switched=done
    rm -rf "$home.old"
    state
}

fact() { sed -n "s/^$1=//p" "$home/facts"; }

# After a failure: the agent that ran before runs again, or nothing is left.
restore() {
    [ "$switched" != done ] || return 0
    if [ -d "$home.old" ]; then
        halt
        rm -rf "$home"
        mv "$home.old" "$home"
        agent=$(fact agent) bus=$(fact bus) at=$(fact at) port=$(fact port)
        start || :
    elif [ "$switched" = yes ]; then
        halt
        rm -rf "$home" "$spool"
    fi
}

remove() {
    lock
    trap unlock EXIT
    halt
    sweep
    rm -rf "$home" "$spool" /var/lib/private/netprobe-agent-spool
    echo "placed=no"
}

state() {
    if [ ! -d "$home" ]; then
        echo "placed=no"
        return
    fi
    echo "placed=yes"
    cat "$home/facts"
    if has_systemd && systemctl is-active --quiet netprobe-agent.service; then
        echo "runs=systemd"
    elif find_agent; then
        echo "runs=process"
    else
        echo "runs=no"
    fi
}

case $1 in
install | remove | state) "$@" ;;
esac
