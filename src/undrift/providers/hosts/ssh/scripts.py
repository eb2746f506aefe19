"""The programs that run on a host: POSIX shell, and of tools only what Debian, Alpine (busybox) and their like all have.

Each reads its whole request from standard input and does nothing unless it came to its end (the last line is
`end`): a connection that breaks while a request is sent has no consequences. Fields are as `speech` writes them.
"""

from __future__ import annotations

from typing import Final

BOOT: Final = (
    'while IFS= read -r p; do case $p in undrift:*) break ;; esac; done; echo "=undrift"; '
    'eval "$(printf %b "${p#undrift:}")"'
)
"""Reads a program from the first line that is one. What comes before it (a password that sudo did not ask for) is
passed over. No character in it means anything special to any login shell between single quotes."""
BEGUN: Final = b"=undrift\n"
"""Written before a program begins: what a login shell says of its own comes before that."""

BEGIN: Final = r"""
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
set -f
nl='
'
IFS=$nl
set -- $(cat)
eval "last=\${$#}"
[ "$last" = end ] || exit 97
IFS='|'
plain() {
    case $1 in *\\*) v=$(printf '%b.' "$1"); v=${v%.} ;; *) v=$1 ;; esac
}
why() {
    m=$(stat -- "$1/." 2>&1 >/dev/null)
    m=${m:-: Permission denied}
}
root() {
    plain "$1"
    cd -P "$v/" 2>/dev/null || {
        why "$v"
        printf '=r %s\n=.\n' "$m"
        exit 0
    }
    top=${PWD%/}
}
inside() { case ${PWD%/}/ in "$top"/*) ;; *) return 1 ;; esac; }
"""

HELLO: Final = (
    BEGIN
    + r"""
has() { command -v "$1" >/dev/null 2>&1 && printf '%s ' "$1"; }
printf 'system=%s\n' "$(uname -snm)"
printf 'who=%s\n' "$(id)"
printf 'home=%s\n' "$HOME"
if [ -d /run/systemd/system ]; then echo systemd=yes; fi
printf 'has='
for t in stat sha256sum base64 readlink sync flock timeout inotifywait; do has $t; done
printf '\n=.\n'
"""
)
"""Who answers, and what there is to work with."""

LOOK: Final = (
    BEGIN
    + r"""
format='%f:%u:%g:%s:%U:%G:%n'
group() {
    k=$1
    plain "$2"
    folder=$v
    there=
    shift 2
    cd -P "$top$folder/" 2>/dev/null || {
        why "$top$folder"
        printf '=n %s %s\n' "$k" "$m"
        return
    }
    inside || { printf '=x %s %s\n' "$k" "$PWD"; return; }
    there=yes
    printf '=g %s\n' "$k"
    [ $# -gt 0 ] || return
    stat -c "$format" -- "$@" 2>&1
    for f do links "$f" "$f"; done
}
links() {
    [ -L "$1" ] || return 0
    printf '=l %s\n' "$2"
    readlink -n -- "$1" 2>/dev/null
    printf '\0\n'
}
digests() {
    [ -n "$there" ] || return
    for f do
        shift
        if [ -f "$f" ] && [ ! -L "$f" ]; then set -- "$@" "$f"; fi
    done
    printf '=d\n'
    [ $# -eq 0 ] || sha256sum -- "$@" 2>&1
}
contents() {
    [ -n "$there" ] || return
    for f do
        plain "$f"
        if [ -f "$v" ] && [ ! -L "$v" ]; then
            printf '=c %s\n' "$f"
            base64 "$v" 2>&1
        fi
    done
}
entries() {
    [ -n "$there" ] || return
    for f do
        plain "$f"
        [ -d "$v" ] && [ ! -L "$v" ] || continue
        [ -r "$v" ] && [ -x "$v" ] || { printf '=!%s Permission denied\n' "$f"; continue; }
        printf '=e %s\n' "$f"
        set +f
        for e in "$v"/* "$v"/.*; do
            [ -e "$e" ] || [ -L "$e" ] || continue
            case ${e##*/} in . | ..) ;; *) printf '%s\0' "${e##*/}" ;; esac
        done
        set -f
        printf '\0\n'
    done
}
odd() {
    [ -n "$there" ] || return
    plain "$1"
    printf '=o %s\n' "$1"
    m=$(stat -c '%f:%u:%g:%s:%U:%G:' -- "$v" 2>&1)
    printf '%s\n' "${m##*$nl}"
    links "$v" "$1"
    if [ "$2" = digest ] && [ -f "$v" ] && [ ! -L "$v" ]; then
        printf '=s %s\n' "$1"
        sha256sum <"$v" 2>&1
    fi
}
ask() {
    nonce=$1 n=$2
    plain "$3"
    script=$v
    shift 3
    for w do shift; plain "${w#.}"; set -- "$@" "$v"; done
    cd "$top/" || exit 98
    printf '=q %s\n' "$n"
    printf '%s %s\n' "$nonce" "$n" >&2
    {
        r=$({
            {
                sh -c "$script" undrift "$@" </dev/null 3>&- 4>&-
                printf '%s' $? >&3
            } | base64 >&4
        } 3>&1)
    } 4>&1
    printf '=a %s\n' "$r"
}
for l do
    set -- $l
    w=$1
    shift
    case $w in
    root) root "$@" ;;
    g) group "$@" ;;
    d) digests "$@" ;;
    c) contents "$@" ;;
    e) entries "$@" ;;
    o) odd "$@" ;;
    q) ask "$@" ;;
    end) printf '=.\n' ;;
    esac
done
"""
)
"""Looks at names in groups (one folder each) and asks questions. Changes nothing.

`root|ROOT` · `g|K|FOLDER|NAME…` what there is · for the group before: `d|NAME…` digests, `c|NAME…` contents,
`e|NAME…` entries, `o|NAME|digest or -` a name that tools would not print as it is · `q|NONCE|N|SCRIPT|.WORD…`.
"""

CHANGE: Final = (
    BEGIN
    + r"""
ok() { eval "[ -z \"\${f_$1-}\" ]"; }
fail() {
    ok "$1" || return 0
    eval "f_$1=1"
    printf '=f %s %s %s\n' "$1" "$2" "${m##*$nl}"
}
all() {
    while [ $# -gt 1 ]; do
        fail "$1" "$2"
        shift 2
    done
}
enter() {
    how=$1
    plain "$2"
    folder=$v
    shift 2
    there=
    gone=
    umask 022
    if ! cd -P "$top$folder/" 2>/dev/null; then
        why "$top$folder"
        case $how$m in
        make*': No such file or directory') make "$folder" "$@" || return ;;
        keep*': No such file or directory') gone=yes; return ;;
        *) all "$@"; return ;;
        esac
    fi
    inside || { m="escapes $PWD"; all "$@"; return; }
    there=yes
}
make() {
    rest=${1#/}
    shift
    at=
    cd -P "$top/" || exit 98
    while [ -n "$rest" ]; do
        part=${rest%%/*}
        case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
        at=$at/$part
        if ! cd -P "./$part" 2>/dev/null; then
            if m=$(mkdir -- "./$part" 2>&1); then
                printf '=m %s %s\0\n' "$1" "$at"
                flush .
            else
                if [ -L "./$part" ] && [ ! -e "./$part" ]; then m="dangles $(readlink -n -- "./$part")"; fi
                case $m in *': File exists') [ -d "./$part" ] ;; *) false ;; esac || { all "$@"; return 1; }
            fi
            cd -P "./$part" 2>/dev/null || { why "./$part"; all "$@"; return 1; }
        fi
        inside || { m="escapes $PWD"; all "$@"; return 1; }
    done
}
flush() {
    m=$(sync -- "$@" 2>&1) && return
    case $m in
    *'No space left'* | *quota* | *'nput/output error'*) return 1 ;;
    *) sync ;;
    esac
}
clear() { if [ -e "./$1" ] || [ -L "./$1" ]; then rm -f -- "./$1"; fi; }
put() {
    case $1 in
    p) printf '%b' "${2#.}" ;;
    b) printf '%s' "${2#.}" | base64 -d ;;
    esac
}
tidy() {
    case $* in
    *\\*) for f do plain "$f"; clear "$v"; done ;;
    *) rm -f -- "$@" ;;
    esac
}
step() {
    w=$1 g=$2 s=$3
    plain "$4"
    n=$v
    case $w in
    t)
        clear "$n"
        umask "$5"
        set -C
        { put "$6" "$7" >"./$n"; } 2>/dev/null || {
            clear "$n"
            m=$({ put "$6" "$7" | cat >"./$n"; } 2>&1) && m=': Input/output error'
            clear "$n"
            fail "$g" "$s"
        }
        set +C
        ;;
    c) plain "$5"; m=$(chown -h -- "$v" "./$n" 2>&1) || fail "$g" "$s" ;;
    h) m=$(chmod -- "$5" "./$n" 2>&1) || fail "$g" "$s" ;;
    s) flush "./$n" || fail "$g" "$s" ;;
    k)
        plain "$5"
        o=$(stat -c %u:%g -- "./$v" "./$n" 2>/dev/null) || return 0
        old=${o%%$nl*} new=${o##*$nl}
        case $6 in u) old=${old%:*}:${new#*:} ;; g) old=${new%:*}:${old#*:} ;; esac
        [ "$old" = "$new" ] || chown -h -- "$old" "./$n" 2>/dev/null || return 0
        ;;
    i) if [ -L "./$n" ]; then m=': Too many levels of symbolic links'; fail "$g" "$s"; fi ;;
    n)
        plain "$5"
        if [ -e "./$v" ] || [ -L "./$v" ]; then
            m=': File exists'
            fail "$g" "$s"
        elif ! m=$(ln -- "./$n" "./$v" 2>&1); then
            case $m in
            *'not permitted' | *'not supported' | *'Too many links' | *'not implemented')
                m=$(mv -- "./$n" "./$v" 2>&1) || fail "$g" "$s" ;;
            *) fail "$g" "$s" ;;
            esac
        fi
        ;;
    r)
        plain "$5"
        if [ -d "./$v" ]; then
            if [ -L "./$v" ]; then
                mv -f -T -- "./$n" "./$v" 2>/dev/null && return
                rm -f -- "./$v"
            elif ! m=$(rmdir -- "./$v" 2>&1); then
                fail "$g" "$s"
                return
            fi
        fi
        m=$(mv -f -- "./$n" "./$v" 2>&1) || fail "$g" "$s"
        ;;
    d) umask "$5"; m=$(mkdir -- "./$n" 2>&1) || fail "$g" "$s" ;;
    l)
        plain "$5"
        if [ -e "./$n" ] || [ -L "./$n" ]; then
            m=': File exists'
            fail "$g" "$s"
        else
            m=$(ln -s -- "$v" "./$n" 2>&1) || fail "$g" "$s"
        fi
        ;;
    y) clear "$n"; plain "$5"; m=$(ln -s -- "$v" "./$n" 2>&1) || fail "$g" "$s" ;;
    x)
        plain "$5"
        m=$(rm -f -- "./$n" "./$v" 2>&1) || fail "$g" "$s"
        ;;
    X) if [ -e "./$n" ] || [ -L "./$n" ]; then m=$(rmdir -- "./$n" 2>&1) || fail "$g" "$s"; fi ;;
    esac
}
many() {
    w=$1 bad=
    plain "$2"
    shift 2
    case $* in *\\*) bad=yes; return ;; esac
    for f do [ -e "$f" ] || { bad=yes; return; }; done
    case $w in
    C) chown -h -- "$v" "$@" 2>/dev/null ;;
    H) chmod -- "$v" "$@" 2>/dev/null ;;
    S) flush "$@" ;;
    esac || bad=yes
}
for l do
    set -- $l
    case $1 in
    root) root "$2" ;;
    make | keep) enter "$@" ;;
    C | H | S) if [ -n "$there" ]; then many "$@"; fi ;;
    again) shift; if [ -n "$there" ] && [ -n "$bad" ] && ok "$2"; then step "$@"; fi ;;
    durable) if [ -n "$there" ]; then flush .; fi ;;
    tidy) shift; if [ -n "$there" ]; then tidy "$@"; fi ;;
    done) if ok "$2"; then printf '=k %s\n' "$2"; fi ;;
    end) printf '=.\n' ;;
    x | X) if [ -n "$there" ] && ok "$2"; then step "$@"; fi ;;
    *)
        if ok "$2"; then
            if [ -n "$there" ]; then step "$@"; else m=': No such file or directory'; fail "$2" "$3"; fi
        fi
        ;;
    esac
done
"""
)
"""Carries out steps of several callers (G) in order; what fails ends the caller's own steps and nobody else's.

`make|FOLDER|G|S…` and `keep|FOLDER|G|S…` enter a folder (`make` makes it), each with the steps (S) that need it. Then,
all in that folder: `t` writes a temporary file, `c` and `h` set owner and mode, `s` makes it durable, `k` keeps the
owner of what is replaced, `n` gives it its name where nothing is, `r` in the place of what is there, `d` makes a
directory, `l` and `y` links, `i` refuses a link, `x` and `X` remove; `C`, `H`, `S` do one thing for many, and where that
fails the lines with `again` do it one by one to find out whose it is. `done|G` tells the end of a caller's steps.
"""

UPLOAD: Final = r"""
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
plain() { v=$(printf '%b.' "$1"); v=${v%.}; }
IFS= read -r top
IFS= read -r folder
IFS= read -r name
plain "$top"
cd -P "$v/" || exit 1
top=${PWD%/}
plain "$folder"
cd -P "$top$v/" || exit 1
case ${PWD%/}/ in "$top"/*) ;; *) echo "escapes $PWD" >&2; exit 1 ;; esac
plain "$name"
rm -f -- "./$v"
umask 077
set -C
cat >"./$v" || exit 1
sha256sum <"./$v"
"""
"""Writes one large file to its temporary name, its content as it comes after three lines (root, folder, name)."""

RUN: Final = (
    BEGIN
    + r"""
set -- $1
nonce=$1 limit=$2
plain "$3"
cd "$v/" 2>/dev/null || { printf '%s there is no folder %s\n' "$nonce" "$v" >&2; exit 127; }
shift 3
while [ "$1" != -- ]; do
    plain "$1"
    export "$v"
    shift
done
shift
for w do
    shift
    plain "${w#.}"
    set -- "$@" "$v"
done
case $1 in
*/*) [ -f "$1" ] && [ -x "$1" ] ;;
*) command -v "$1" >/dev/null 2>&1 ;;
esac || { printf '%s there is no program %s\n' "$nonce" "$1" >&2; exit 127; }
if [ "$limit" != 0 ] && command -v timeout >/dev/null 2>&1; then exec timeout -k 2 "$limit" "$@" </dev/null; fi
exec "$@" </dev/null
"""
)
"""Runs one program: `NONCE|SECONDS|FOLDER|NAME=VALUE…|--|.WORD…`; why it could not be run follows the nonce."""
