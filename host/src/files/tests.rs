use super::*;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("patchlane-files-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_file_is_never_overwritten_unless_told() {
    let path = folder("over").join("a");
    write(&path, b"one", Over::Nothing, Secrecy::Public).unwrap();
    let error = write(&path, b"two", Over::Nothing, Secrecy::Public).unwrap_err();
    assert_eq!(error.code, Code::Exists);
    assert_eq!(read(&path).unwrap(), b"one");
    write(&path, b"two", Over::Existing, Secrecy::Public).unwrap();
    assert_eq!(read(&path).unwrap(), b"two");
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "a temporary file was left behind");
}

#[test]
fn what_was_replaced_meanwhile_stays() {
    let path = folder("seen").join("a");
    fs::write(&path, "one").unwrap();
    let (_, seen) = read_seen(&path).unwrap();
    write(&path, b"two", Over::Seen(seen), Secrecy::Public).unwrap();
    let error = write(&path, b"six", Over::Seen(seen), Secrecy::Public).unwrap_err();
    assert_eq!(error.what, "was changed by someone else meanwhile; it is left as they made it");
    assert_eq!(read(&path).unwrap(), b"two");
}

#[test]
fn files_that_belong_together_appear_together() {
    let folder = folder("together");
    let (a, b) = (folder.join("a"), folder.join("b"));
    let new = |path| New { path, pieces: &[b"x", b"y"], over: Over::Nothing, secrecy: Secrecy::Public };
    fs::create_dir(&b).unwrap();
    assert_eq!(write_together(&[new(&a), new(&b)]).unwrap_err().code, Code::Exists);
    assert!(!a.exists());
    fs::remove_dir(&b).unwrap();
    // Twice the same is a mistake, told before anything is placed.
    assert_eq!(write_together(&[new(&a), new(&a)]).unwrap_err().code, Code::Usage);
    assert!(!a.exists());
    write_together(&[new(&a), new(&b)]).unwrap();
    assert_eq!((read(&a).unwrap(), read(&b).unwrap()), (b"xy".to_vec(), b"xy".to_vec()));
    // What was replaced comes back if a later one can't be placed.
    let over = |path| New { pieces: &[b"z"], over: Over::Existing, ..new(path) };
    assert_eq!(write_together(&[over(&a), new(&b)]).unwrap_err().code, Code::Exists);
    assert_eq!(read(&a).unwrap(), b"xy");
    let (_, seen) = read_seen(&b).unwrap();
    fs::write(&b, "longer").unwrap();
    let late = New { over: Over::Seen(seen), ..new(&b) };
    assert_eq!(write_together(&[over(&a), late]).unwrap_err().code, Code::Io);
    assert_eq!((read(&a).unwrap(), read(&b).unwrap()), (b"xy".to_vec(), b"longer".to_vec()));
    write_together(&[over(&a), over(&b)]).unwrap();
    assert_eq!((read(&a).unwrap(), read(&b).unwrap()), (b"z".to_vec(), b"z".to_vec()));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "a temporary file was left behind");
}

#[cfg(unix)]
#[test]
fn links_stay_links_and_what_is_read_only_stays() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("links");
    let (file, link, other) = (folder.join("file"), folder.join("link"), folder.join("other"));
    fs::write(&file, "one").unwrap();
    fs::hard_link(&file, &other).unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    assert_eq!(write(&link, b"two", Over::Nothing, Secrecy::Public).unwrap_err().code, Code::Exists);
    write(&link, b"two", Over::Existing, Secrecy::Public).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // Another name of the old file keeps the old contents: it was replaced, not changed.
    assert_eq!((read(&file).unwrap(), read(&other).unwrap()), (b"two".to_vec(), b"one".to_vec()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let error = write(&link, b"six", Over::Existing, Secrecy::Public).unwrap_err();
    assert_eq!(error.what, "is read-only");
    fs::remove_file(&file).unwrap();
    assert_eq!(write(&link, b"six", Over::Existing, Secrecy::Public).unwrap_err().code, Code::Missing);
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let path = folder("secret").join("key");
    write(&path, b"k", Over::Nothing, Secrecy::Secret).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn folders_and_missing_files_are_named_as_such() {
    let folder = folder("kinds");
    assert_eq!(read(&folder).unwrap_err().what, "is a folder, not a file");
    assert_eq!(read(&folder.join("none")).unwrap_err().code, Code::Missing);
    let error = write(&folder, b"", Over::Existing, Secrecy::Public).unwrap_err();
    assert_eq!(error.what, "is a folder, not a file");
    let nowhere = folder.join("no").join("where");
    assert_eq!(write(&nowhere, b"", Over::Existing, Secrecy::Public).unwrap_err().code, Code::Missing);
}
