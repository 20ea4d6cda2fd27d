#!/bin/sh
# Makes the certificates of the tests anew: sh tests/support/certificates/make.sh
#
# All but expired.pem are valid for a hundred years. Their keys are public: trust them nowhere else.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sign() { # name, signer's certificate, signer's key, extensions, first and last day, more options
  cat >"$work/config" <<CONFIG
[ca]
default_ca = this
[this]
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[extensions]
$(echo "$4" | tr ';' '\n')
CONFIG
  : >"$work/index"
  openssl ca -batch -notext -config "$work/config" -extensions extensions -cert "$2" -keyfile "$3" \
    -startdate "$5" -enddate "$6" -in "$work/$1.csr" -out "$1.pem" ${7:-}
}

request() { # name, where its key goes
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=$1" -keyout "$2" -out "$work/$1.csr"
}

authority() { # name
  request "$1" "$work/$1.key"
  sign "$1" "$1.pem" "$work/$1.key" "basicConstraints=critical,CA:TRUE;keyUsage=critical,keyCertSign,cRLSign" \
    20200101000000Z 21200101000000Z -selfsign
}

leaf() { # name, authority, extensions, last day
  request "$1" "$1.key.pem"
  sign "$1" "$2.pem" "$work/$2.key" "basicConstraints=critical,CA:FALSE;keyUsage=critical,digitalSignature;$3" \
    20200101000000Z "$4"
}

both="extendedKeyUsage=serverAuth,clientAuth"
here="subjectAltName=DNS:server.test,IP:127.0.0.1,IP:::1"

authority ca
authority other_ca
leaf server ca "$both;$here" 21200101000000Z
leaf elsewhere ca "$both;subjectAltName=DNS:elsewhere.test" 21200101000000Z
leaf expired ca "$both;$here" 20200102000000Z
leaf client ca "extendedKeyUsage=clientAuth" 21200101000000Z
leaf stranger other_ca "extendedKeyUsage=clientAuth" 21200101000000Z
chmod 644 ./*.pem
