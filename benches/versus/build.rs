//! Builds the shims of the peers that are not written in Rust, if their features are on.

fn main() {
    println!("cargo::rerun-if-changed=shims");
    #[cfg(feature = "rte_ring")]
    rte_ring();
    #[cfg(feature = "boost")]
    boost();
}

/// Ends the build with what is to be installed.
#[cfg(any(feature = "boost", feature = "rte_ring"))]
fn needs(feature: &str, package: &str, error: impl std::fmt::Display) -> ! {
    println!("cargo::error=the feature {feature} needs the system package {package}");
    panic!("{error}");
}

#[cfg(feature = "rte_ring")]
fn rte_ring() {
    let library = pkg_config::Config::new().cargo_metadata(false).probe("libdpdk");
    let library = library.unwrap_or_else(|error| needs("rte_ring", "libdpdk-dev", error));
    let mut build = cc::Build::new();
    build.file("shims/rte_ring.c").includes(&library.include_paths);
    // As its own flags say; pkg-config's answer leaves these out.
    build.flag("-include").flag("rte_config.h").flag("-march=corei7").opt_level(3);
    build.compile("versus_rte_ring");
    // Of all its libraries only these two.
    println!("cargo::rustc-link-lib=rte_ring");
    println!("cargo::rustc-link-lib=rte_eal");
}

#[cfg(feature = "boost")]
fn boost() {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").file("shims/boost.cpp").opt_level(3);
    let built = build.try_compile("versus_boost");
    built.unwrap_or_else(|error| needs("boost", "libboost-dev", error));
}
