//! What a network's arrays are called in TensorFlow, as a flag says it.

use std::path::PathBuf;
use std::str::FromStr;

use floret::checkpoint::tensorflow::NameMap;
use floret::network::Network;

use crate::Result;

#[derive(Clone)]
pub enum Names {
    /// As the script does.
    Script,
    /// As a file says.
    File(PathBuf),
}

impl FromStr for Names {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(if text == "script" { Names::Script } else { Names::File(text.into()) })
    }
}

impl Names {
    pub fn map(&self, network: &Network) -> Result<NameMap> {
        Ok(match self {
            Names::Script => NameMap::creation_order(network),
            Names::File(path) => NameMap::read(path)?,
        })
    }
}
