//! A cache of compiled kernels on disk, so that they are compiled once for a GPU and a world's sizes.
//!
//! Errors of the cache are ignored: kernels that cannot be read are compiled again.

use std::path::PathBuf;
use std::{env, fs, process};

use sha2::{Digest, Sha256};

/// Returns the cached result of `compile` for `key`, or calls it and caches the result. `key` contains everything
/// that the result depends on.
///
/// # Errors
/// Those of `compile`.
pub(crate) fn cached<E>(key: &[&str], compile: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    cached_in(cache_dir(), key, compile)
}

fn cached_in<E>(
    cache_dir: Option<PathBuf>,
    key: &[&str],
    compile: impl FnOnce() -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let Some(cache_dir) = cache_dir else { return compile() };
    let mut hash = Sha256::new();
    for part in key {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = cache_dir.join(&name);
    if let Some(image) = fs::read(&path).ok().and_then(verified_image) {
        return Ok(image);
    }
    let image = compile()?;
    // Another process may write the same entry: each writes a file of its own, and either may win the rename.
    let temporary = cache_dir.join(format!(".{name}.{}", process::id()));
    let written = fs::create_dir_all(&cache_dir)
        .and_then(|()| fs::write(&temporary, [&*Sha256::digest(&image), &image].concat()))
        .and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    Ok(image)
}

/// The image of a cache entry, `None` if it does not match the checksum before it.
fn verified_image(mut entry: Vec<u8>) -> Option<Vec<u8>> {
    let image = entry.split_off(entry.len().min(CHECKSUM_BYTES));
    (Sha256::digest(&image)[..] == entry).then_some(image)
}

/// `recsim/kernels` in the user's cache directory.
fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("recsim/kernels"))
}

/// Length of a SHA-256 checksum.
const CHECKSUM_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_compiles_once_per_key_unless_the_entry_is_damaged() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let cache_dir = temporary.path().join("kernels");
        let ask = |key: &[&str], image: &str| {
            let mut is_compiled = false;
            let actual = cached_in(Some(cache_dir.clone()), key, || {
                is_compiled = true;
                Ok::<_, ()>(image.into())
            });
            (String::from_utf8(actual.expect("no error")).expect("text"), is_compiled)
        };
        assert_eq!(ask(&["ab", "c"], "first"), ("first".into(), true));
        assert_eq!(ask(&["ab", "c"], "second"), ("first".into(), false));
        assert_eq!(ask(&["a", "bc"], "other"), ("other".into(), true), "parts of a key are separate");
        for entry in fs::read_dir(&cache_dir).expect("the cache directory") {
            let path = entry.expect("an entry").path();
            let mut bytes = fs::read(&path).expect("a readable file");
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, &bytes[..]).expect("a writable file");
        }
        assert_eq!(ask(&["ab", "c"], "again"), ("again".into(), true));
    }

    #[test]
    fn cached_compiles_without_a_usable_directory() {
        assert_eq!(cached_in(None, &["a"], || Ok::<_, ()>(vec![7])), Ok(vec![7]));
        let unusable = Some(PathBuf::from("/proc/missing"));
        assert_eq!(cached_in(unusable, &["a"], || Ok::<_, ()>(vec![8])), Ok(vec![8]));
    }
}
