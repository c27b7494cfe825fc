//! Compiled kernels on the disk, so that they are compiled once for a GPU and a world's sizes.
//!
//! A cache may fail: what cannot be read or written is compiled again.

use std::path::PathBuf;
use std::{env, fs, process};

use sha2::{Digest, Sha256};

/// What `compile` gives, or gave when it was asked for the same before: `key` holds everything it depends on.
pub(crate) fn cached<E>(key: &[&str], compile: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    cached_in(folder(), key, compile)
}

fn cached_in<E>(
    folder: Option<PathBuf>,
    key: &[&str],
    compile: impl FnOnce() -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let Some(folder) = folder else { return compile() };
    let mut hash = Sha256::new();
    for part in key {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(&name);
    if let Some(image) = fs::read(&path).ok().and_then(whole) {
        return Ok(image);
    }
    let image = compile()?;
    // Another program may write the same: each to a file of its own, and either is right.
    let beside = folder.join(format!(".{name}.{}", process::id()));
    let written = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&beside, [&*Sha256::digest(&image), &image].concat()))
        .and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    Ok(image)
}

/// An image without the checksum before it; none if they do not agree.
fn whole(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let image = file.split_off(file.len().min(CHECKSUM));
    (Sha256::digest(&image)[..] == file).then_some(image)
}

/// `recsim/kernels` where this user's caches are.
fn folder() -> Option<PathBuf> {
    let given = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("recsim/kernels"))
}

/// Bytes of a SHA-256.
const CHECKSUM: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_is_not_compiled_again_unless_it_is_damaged() {
        let place = tempfile::tempdir().expect("a folder can be made");
        let folder = place.path().join("kernels");
        let ask = |key: &[&str], image: &str| {
            let mut compiled = false;
            let found = cached_in(Some(folder.clone()), key, || {
                compiled = true;
                Ok::<_, ()>(image.into())
            });
            (String::from_utf8(found.expect("nothing fails")).expect("text"), compiled)
        };
        assert_eq!(ask(&["ab", "c"], "first"), ("first".into(), true));
        assert_eq!(ask(&["ab", "c"], "second"), ("first".into(), false));
        assert_eq!(ask(&["a", "bc"], "other"), ("other".into(), true), "parts do not run into each other");
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            let mut bytes = fs::read(&path).expect("a file");
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, &bytes[..]).expect("it can be written");
        }
        assert_eq!(ask(&["ab", "c"], "again"), ("again".into(), true));
        assert_eq!(cached_in(None, &["a"], || Ok::<_, ()>(vec![7])), Ok(vec![7]));
        let nowhere = Some(PathBuf::from("/proc/nowhere"));
        assert_eq!(cached_in(nowhere, &["a"], || Ok::<_, ()>(vec![8])), Ok(vec![8]));
    }
}
