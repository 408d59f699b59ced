//! Finds a connector by its name.

use std::path::{Path, PathBuf};

use crate::connections::nearest;
use crate::exit::Exit;
use crate::failure::Failure;

/// The extension of a connector's file.
const EXTENSION: &str = "wasm";

/// The folder of connectors, beside the program and in the user's data folder.
const FOLDER: &str = "connectors";

/// Where connectors are looked for, in order.
pub struct Search(Vec<PathBuf>);

impl Search {
    /// The folders given, then those that are there by convention.
    pub fn new(given: &[PathBuf]) -> Self {
        let mut folders = given.to_vec();
        if let Some(program) = std::env::current_exe()
            .ok()
            .and_then(|path| path.canonicalize().ok())
        {
            folders.extend(program.parent().map(|folder| folder.join(FOLDER)));
            // A source tree: target/<profile>/dagflux, connectors in target/connectors.
            let target = program
                .ancestors()
                .find(|folder| folder.file_name().is_some_and(|name| name == "target"));
            folders.extend(target.map(|target| target.join(FOLDER)));
        }
        folders.extend(dirs::data_dir().map(|folder| folder.join("dagflux").join(FOLDER)));
        Search(folders)
    }

    /// The file of `connector`: the path itself, or the first file of that name.
    ///
    /// # Errors
    /// When there is none; the message has the folders that were looked in.
    pub fn find(
        &self,
        connector: &str,
        resolve: impl Fn(&str) -> PathBuf,
    ) -> Result<PathBuf, Failure> {
        if is_path(connector) {
            return Ok(resolve(connector));
        }
        let file = format!("{connector}.{EXTENSION}");
        if let Some(path) = self
            .0
            .iter()
            .map(|folder| folder.join(&file))
            .find(|path| path.is_file())
        {
            return Ok(path);
        }
        let known = self.known();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let folders: Vec<String> = self
            .0
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let failure = Failure::new(
            Exit::Configuration,
            "configuration",
            format!(
                "there is no connector \"{connector}\": none of these folders has {file}: {}",
                folders.join(", ")
            ),
        );
        Err(match nearest(connector, &known) {
            Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
            None => failure.hint(format!(
                "put {file} in one of them, or name its folder with --connectors"
            )),
        })
    }

    /// The names of all connectors there are.
    fn known(&self) -> Vec<String> {
        let files = self
            .0
            .iter()
            .filter_map(|folder| folder.read_dir().ok())
            .flatten()
            .flatten();
        files
            .map(|file| file.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == EXTENSION)
            })
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect()
    }
}

/// Whether a connector is given by its path rather than by its name.
pub fn is_path(connector: &str) -> bool {
    let path = Path::new(connector);
    path.components().count() > 1
        || path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(path: &str) -> PathBuf {
        path.into()
    }

    #[test]
    fn by_name_in_the_first_folder_that_has_it() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(two.path().join("postgres.wasm"), b"").unwrap();
        let search = Search(vec![one.path().into(), two.path().into()]);
        assert_eq!(
            search.find("postgres", plain).unwrap(),
            two.path().join("postgres.wasm")
        );
        std::fs::write(one.path().join("postgres.wasm"), b"").unwrap();
        assert_eq!(
            search.find("postgres", plain).unwrap(),
            one.path().join("postgres.wasm")
        );
        let failure = search.find("postgre", plain).unwrap_err();
        assert_eq!(failure.hint.unwrap(), "did you mean \"postgres\"?");
        assert!(failure.message.contains(&one.path().display().to_string()));
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let search = Search(Vec::new());
        let resolve = |path: &str| Path::new("/file").join(path);
        assert_eq!(
            search.find("./x/postgres.wasm", resolve).unwrap(),
            Path::new("/file/./x/postgres.wasm")
        );
        assert_eq!(
            search.find("postgres.wasm", resolve).unwrap(),
            Path::new("/file/postgres.wasm")
        );
        assert!(search.find("postgres", resolve).is_err());
    }
}
