# SPDX-License-Identifier: MIT
# For bash scripts to source: real HTTP servers and object stores on 127.0.0.1 for the tests labelled
# "servers".
#
#     servers_at DIRECTORY         where everything goes
#     servers_install              all of them, at the same time
#     servers_begin                stops what an earlier run left; an empty DIRECTORY/run
#     start_nginx ...              installs what is missing, starts it, waits until it answers
#     servers_upload               the test data, through each store's own interface
#     servers_stop                 by recorded process id
#
# DIRECTORY/env gets VARIABLE=value lines for the tests, DIRECTORY/manifest.NAME what was uploaded
# (upload.py has the format), DIRECTORY/run the servers' data and logs. The rest of DIRECTORY is what
# was installed; keep it and the next run starts at once. Versions are pinned here and nowhere else.

VERSITYGW_VERSION=v1.7.0
FAKE_GCS_VERSION=v1.55.0
AZURITE_VERSION=3.35.0
PYTHON_PACKAGES=(moto[server]==5.2.5 boto3==1.44.5 azure-storage-blob==12.31.1)

SERVER_WAIT_TENTHS=600 # each server has a minute to answer

source "$(dirname "${BASH_SOURCE[0]}")/../support/packages.sh"

servers_at() {
    servers_dir=$(mkdir -p "$1/bin" && cd "$1" && pwd)
    servers_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
}

servers_begin() {
    servers_stop
    rm -rf "$servers_dir/run"
    mkdir -p "$servers_dir/run"
    rm -f "$servers_dir"/manifest.*
    : >"$servers_dir/env"
}

server_env() { # server_env VARIABLE VALUE: for the tests
    printf '%s=%s\n' "$1" "$2" >>"$servers_dir/env"
}

installed_in() { # installed_in SECONDS WHAT
    echo "== $2: installed in $((SECONDS - $1)) s"
}

# ---------------------------------------------------------------------------------- processes --

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# server_start NAME PORT COMMAND...: runs it in the background, until something answers on the port.
server_start() {
    local name=$1 port=$2 log=$servers_dir/run/$1.log pid waited=0
    shift 2
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    # The start time tells it from a later process of the same number.
    echo "$name $pid $(awk '{ print $22 }' "/proc/$pid/stat")" >>"$servers_dir/pids"
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        waited=$((waited + 1))
        if ! kill -0 "$pid" 2>/dev/null || [ $waited -gt $SERVER_WAIT_TENTHS ]; then
            echo "$name does not answer on port $port; its log:" >&2
            tail -n 20 "$log" >&2
            return 1
        fi
        sleep 0.1
    done
    echo "== $name answers on 127.0.0.1:$port"
}

servers_stop() {
    local name pid began now
    [ -f "$servers_dir/pids" ] || return 0
    while read -r name pid began; do
        now=$(awk '{ print $22 }' "/proc/$pid/stat" 2>/dev/null) || continue
        [ "$now" = "$began" ] || continue
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || continue 2
            sleep 0.1
        done
        echo "== $name does not end by itself" >&2
        kill -KILL "$pid" 2>/dev/null || true
    done <"$servers_dir/pids"
    rm -f "$servers_dir/pids"
}

# ------------------------------------------------------------------------------------ install --

need_command() { # need_command NAME FOR [PACKAGE...]: the packages have it
    command -v "$1" >/dev/null && return 0
    [ $# -gt 2 ] && install_packages "${@:3}" && command -v "$1" >/dev/null && return 0
    echo "$2 needs $1, which is not installed" >&2
    return 1
}

# go_install MODULE VERSION: its program goes to bin/; a file beside it has the version.
go_install() {
    local program=$servers_dir/bin/${1##*/} began=$SECONDS
    [ "$(cat "$program.version" 2>/dev/null)" = "$2" ] && return 0
    need_command go "${1##*/}" || return 1 # Debian's own may be too old for these modules
    GOBIN=$servers_dir/bin GOFLAGS=-buildvcs=false go install "$1@$2" || return 1
    echo "$2" >"$program.version"
    installed_in "$began" "${1##*/} $2"
}

python_install() {
    local wanted=$servers_dir/python/wanted began=$SECONDS
    [ "$(cat "$wanted" 2>/dev/null)" = "${PYTHON_PACKAGES[*]}" ] && return 0
    python3 -m venv --clear "$servers_dir/python" &&
        "$servers_dir/python/bin/pip" install -q --disable-pip-version-check \
            "${PYTHON_PACKAGES[@]}" || return 1
    echo "${PYTHON_PACKAGES[*]}" >"$wanted"
    installed_in "$began" "${PYTHON_PACKAGES[*]}"
}

azurite_install() {
    local began=$SECONDS
    [ "$(cat "$servers_dir/npm/version" 2>/dev/null)" = "$AZURITE_VERSION" ] && return 0
    npm install --silent --no-audit --no-fund --prefix "$servers_dir/npm" \
        "azurite@$AZURITE_VERSION" || return 1
    echo "$AZURITE_VERSION" >"$servers_dir/npm/version"
    installed_in "$began" "azurite $AZURITE_VERSION"
}

# Unpacked, not installed: an installation would start it, and on every address. What it needs of
# other packages every Debian has.
nginx_install() {
    local began=$SECONDS
    [ -x "$servers_dir/nginx/usr/sbin/nginx" ] && return 0
    need_command apt-get nginx || return 1
    rm -rf "$servers_dir/nginx" && mkdir -p "$servers_dir/nginx" || return 1
    (cd "$servers_dir/nginx" && { apt-get download -qq nginx 2>/dev/null ||
        { apt-get update -qq && apt-get download -qq nginx; }; } && dpkg -x nginx_*.deb .) || return 1
    installed_in "$began" nginx
}

versitygw_install() { go_install github.com/versity/versitygw/cmd/versitygw "$VERSITYGW_VERSION"; }
fake_gcs_install() { go_install github.com/fsouza/fake-gcs-server "$FAKE_GCS_VERSION"; }

servers_install() {
    local pids=() pid status=0
    # One after the other, for they may call apt-get.
    need_command npm azurite nodejs npm && need_command openssl nginx openssl || return 1
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv || return 1
    nginx_install & pids+=($!)
    python_install & pids+=($!)
    azurite_install & pids+=($!)
    { versitygw_install && fake_gcs_install; } & pids+=($!) # each keeps all processors busy
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    return $status
}

# ------------------------------------------------------------------------------------- servers --

# A CA and a certificate for localhost, for the servers that speak TLS.
certificates_make() {
    local tls=$servers_dir/run/tls
    mkdir -p "$tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=test CA' \
        -keyout "$tls/ca.key" -out "$tls/ca.pem" 2>/dev/null &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' \
            -keyout "$tls/server.key" -out "$tls/server.csr" 2>/dev/null &&
        openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" \
            -CAcreateserial -days 2 -out "$tls/server.pem" 2>/dev/null \
            -extfile <(echo 'subjectAltName=DNS:localhost,DNS:*.store.localhost,IP:127.0.0.1') ||
        return 1
    server_env LSIO_SERVERS_NGINX_CA_FILE "$tls/ca.pem"
}

start_nginx() {
    local run=$servers_dir/run/nginx http https http2 http2_short
    nginx_install && certificates_make || return 1
    http=$(free_port) https=$(free_port) http2=$(free_port) http2_short=$(free_port)
    mkdir -p "$run/root" "$run/temp"
    sed -e "s,@RUN@,$run,g" -e "s,@TLS@,$servers_dir/run/tls,g" -e "s,@HTTP@,127.0.0.1:$http,g" \
        -e "s,@HTTPS@,127.0.0.1:$https,g" -e "s,@HTTP2@,127.0.0.1:$http2,g" \
        -e "s,@HTTP2_SHORT@,127.0.0.1:$http2_short,g" \
        "$servers_here/nginx.conf.in" >"$run/nginx.conf"
    server_start nginx "$http" "$servers_dir/nginx/usr/sbin/nginx" -p "$run" -c "$run/nginx.conf" \
        -e "$run/error.log" || return 1
    server_env LSIO_SERVERS_NGINX_HTTP "http://127.0.0.1:$http"
    server_env LSIO_SERVERS_NGINX_HTTPS "https://127.0.0.1:$https"
    server_env LSIO_SERVERS_NGINX_HTTP2 "https://127.0.0.1:$http2"
    server_env LSIO_SERVERS_NGINX_HTTP2_SHORT "https://127.0.0.1:$http2_short"
    server_env LSIO_SERVERS_NGINX_CONNECTIONS_LOG "$run/connections.log"
    server_env LSIO_SERVERS_NGINX_PID_FILE "$run/nginx.pid"
    server_env LSIO_SERVERS_NGINX_ROOT "$run/root"
    server_env LSIO_SERVERS_NGINX_LOG "$run/access.log"
}

# Checks signatures with code of its own.
start_versitygw() {
    local run=$servers_dir/run/versitygw port
    versitygw_install || return 1
    port=$(free_port)
    mkdir -p "$run/data" "$run/attributes"
    # Attributes beside the data: not every file system has extended ones.
    ROOT_ACCESS_KEY=versityuser ROOT_SECRET_KEY='versity/secret+1' server_start versitygw "$port" \
        "$servers_dir/bin/versitygw" --port "127.0.0.1:$port" --region us-east-1 \
        posix --sidecar "$run/attributes" "$run/data" || return 1
    server_env LSIO_SERVERS_VERSITYGW_ENDPOINT "http://127.0.0.1:$port"
    server_env LSIO_SERVERS_VERSITYGW_ACCESS_KEY versityuser
    server_env LSIO_SERVERS_VERSITYGW_SECRET_KEY 'versity/secret+1'
    server_env LSIO_SERVERS_VERSITYGW_REGION us-east-1
    server_env LSIO_SERVERS_VERSITYGW_BUCKET lsio-data
}

# Checks signatures with botocore's own signer once upload.py has made a user; STS and IAM too.
start_moto() {
    local port
    python_install || return 1
    port=$(free_port)
    INITIAL_NO_AUTH_ACTION_COUNT=4 server_start moto "$port" \
        "$servers_dir/python/bin/moto_server" -H 127.0.0.1 -p "$port" || return 1
    server_env LSIO_SERVERS_MOTO_ENDPOINT "http://127.0.0.1:$port"
    server_env LSIO_SERVERS_MOTO_REGION us-east-1
    server_env LSIO_SERVERS_MOTO_BUCKET lsio-data
}

# Checks SharedKey signatures. Account and key are those of every emulator (Microsoft's documentation).
start_azurite() {
    local port
    azurite_install || return 1
    port=$(free_port)
    server_start azurite "$port" node "$servers_dir/npm/node_modules/azurite/dist/src/blob/main.js" \
        --blobHost 127.0.0.1 --blobPort "$port" --inMemoryPersistence --skipApiVersionCheck \
        --silent --disableTelemetry || return 1
    server_env LSIO_SERVERS_AZURITE_ENDPOINT "http://127.0.0.1:$port/devstoreaccount1"
    server_env LSIO_SERVERS_AZURITE_ACCOUNT devstoreaccount1
    server_env LSIO_SERVERS_AZURITE_KEY \
        'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
    server_env LSIO_SERVERS_AZURITE_CONTAINER lsio-data
}

# Checks nothing: for the form of requests and answers only.
start_fake_gcs() {
    local port
    fake_gcs_install || return 1
    port=$(free_port)
    server_start fake-gcs "$port" "$servers_dir/bin/fake-gcs-server" -scheme http -host 127.0.0.1 \
        -port "$port" -public-host "127.0.0.1:$port" -backend memory -data '' || return 1
    server_env LSIO_SERVERS_FAKE_GCS_ENDPOINT "http://127.0.0.1:$port"
    server_env LSIO_SERVERS_FAKE_GCS_BUCKET lsio-data
}

servers_upload() {
    python_install || return 1
    server_env LSIO_SERVERS_PYTHON "$servers_dir/python/bin/python"
    server_env LSIO_SERVERS_PUT \
        "'$servers_dir/python/bin/python' '$servers_here/upload.py' '$servers_dir'"
    "$servers_dir/python/bin/python" "$servers_here/upload.py" "$servers_dir"
}
