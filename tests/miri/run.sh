#!/usr/bin/env bash
# What Miri can run of the library: its parts that ask the kernel for nothing, once, and the ring between threads with as
# many seeds as the argument says (8 without one). Does nothing where the toolchain has no Miri:
# `rustup toolchain install nightly --component miri,rust-src` brings it.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo +nightly miri --version >/dev/null 2>&1 || { echo "no Miri in this toolchain: nothing ran"; exit 0; }
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/miri}
# Without isolation: proptest reads how many cases it is to try, and looks for failures that it kept.
PROPTEST_CASES=8 MIRIFLAGS='-Zmiri-disable-isolation' cargo +nightly miri test --quiet --lib -- \
    layout:: letter:: message:: ring:: segment::name:: seq::
MIRIFLAGS="-Zmiri-preemption-rate=0.1 -Zmiri-many-seeds=0..${1:-8} -Zmiri-env-forward=SLIPRING_MUTANT" \
    cargo +nightly miri test --quiet --lib -- interleaved::
