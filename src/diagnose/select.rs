//! Which checks the user wants (`--only`, `--skip`).

use super::catalog;

/// Checks by id or name. Nothing in `only` means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    only: Vec<&'static str>,
    skip: Vec<&'static str>,
}

/// A word that names no check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no check is called {word:?} (`flannelctl diagnose --list-checks` lists them)")]
pub struct UnknownCheck {
    /// The word.
    pub word: String,
}

impl Selection {
    /// Ids or names in any case; `FL1` stands for every id that begins so.
    ///
    /// # Errors
    /// `UnknownCheck` for the first word that names none.
    pub fn new<S: AsRef<str>>(only: &[S], skip: &[S]) -> Result<Self, UnknownCheck> {
        Ok(Self {
            only: resolve(only)?,
            skip: resolve(skip)?,
        })
    }

    /// The check with this id is wanted.
    pub fn permits(&self, id: &str) -> bool {
        (self.only.is_empty() || self.only.contains(&id)) && !self.skip.contains(&id)
    }
}

fn resolve<S: AsRef<str>>(words: &[S]) -> Result<Vec<&'static str>, UnknownCheck> {
    let mut ids = Vec::new();
    for word in words {
        let word = word.as_ref().trim();
        let before = ids.len();
        let upper = word.to_ascii_uppercase();
        let group = upper.len() >= 3 && upper.starts_with("FL");
        ids.extend(
            catalog::all()
                .filter(|check| {
                    check.name.eq_ignore_ascii_case(word) || (group && check.id.starts_with(&upper))
                })
                .map(|check| check.id),
        );
        if ids.len() == before {
            return Err(UnknownCheck {
                word: word.to_owned(),
            });
        }
    }
    Ok(ids)
}
