#!/bin/bash
exec /work/wt/c cargo test -p memgen --features contract,simulation --lib contract:: "$@"
