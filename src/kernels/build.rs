//! Compiles `src/cuda/*.cu` where the feature `cuda` is on: one fat binary a file, with machine code for the card that
//! `CUDA_COMPUTE_CAP` names (or the one in this machine) and PTX for newer ones. Files named `*_hopper.cu` use instructions that only
//! capability 9.0 has: they are left out for others, and `cfg(hopper)` says whether they are there. `cfg(turing)` says that the kernels are
//! for cards before 8.0, which multiply no bf16 and have less shared memory. With `CUDA_RACECHECK` set the kernels are those that
//! `compute-sanitizer --tool racecheck` understands. A build script reports by panicking.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(hopper, turing)");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=src/cuda");
    println!("cargo::rerun-if-env-changed=CUDA_COMPUTE_CAP");
    println!("cargo::rerun-if-env-changed=CUDA_RACECHECK");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let capability = capability();
    let nvcc = nvcc();
    let mut sources: Vec<PathBuf> = fs::read_dir("src/cuda").expect("src/cuda").map(|entry| entry.expect("a file").path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    if capability == "90" {
        println!("cargo::rustc-cfg=hopper");
    } else {
        sources.retain(|source| !is_hopper(source));
    }
    if capability.parse::<u32>().is_ok_and(|capability| capability < 80) {
        println!("cargo::rustc-cfg=turing");
    }
    std::thread::scope(|scope| {
        for source in &sources {
            scope.spawn(|| compile(&nvcc, &capability, source, &out));
        }
    });
}

fn compile(nvcc: &Path, capability: &str, source: &Path, out: &Path) {
    let binary = out.join(source.file_stem().expect("a name")).with_extension("fatbin");
    let target = if is_hopper(source) {
        "-gencode=arch=compute_90a,code=sm_90a".to_owned()
    } else {
        format!("-gencode=arch=compute_{capability},code=[sm_{capability},compute_{capability}]")
    };
    let status = Command::new(nvcc)
        .args(["-fatbin", "-O3", "-std=c++17", "-Werror=all-warnings", &target])
        .args(env::var_os("CUDA_RACECHECK").map(|_| "-DRACECHECK"))
        .arg("-o")
        .args([&binary, source])
        .status()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}; the feature `cuda` needs the CUDA toolkit", nvcc.display()));
    assert!(status.success(), "{} failed on {}", nvcc.display(), source.display());
}

fn is_hopper(source: &Path) -> bool {
    source.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_hopper"))
}

/// `$NVCC`, or `bin/nvcc` of the toolkit's folder, or the one on the path.
fn nvcc() -> PathBuf {
    println!("cargo::rerun-if-env-changed=NVCC");
    if let Some(nvcc) = env::var_os("NVCC") {
        return nvcc.into();
    }
    let folders = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let found = folders.chain(["/usr/local/cuda".into()]).map(|folder| folder.join("bin/nvcc")).find(|nvcc| nvcc.exists());
    found.unwrap_or_else(|| "nvcc".into())
}

/// Digits of the compute capability, as `90`.
fn capability() -> String {
    if let Ok(given) = env::var("CUDA_COMPUTE_CAP") {
        return given.replace('.', "");
    }
    let query = Command::new("nvidia-smi").args(["--query-gpu=compute_cap", "--format=csv,noheader"]).output();
    let text = query.ok().filter(|output| output.status.success()).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let first = text.and_then(|text| text.lines().next().map(|line| line.trim().replace('.', "")));
    first.expect("set CUDA_COMPUTE_CAP (75, 80, 90, ...): there is no card here to ask")
}
