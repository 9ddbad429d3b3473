//! Flags of ComfyUI that change nothing here: taken, and warned of once. One that is not known at all is an error.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// Flags without a value, and whether somebody who gives them is told that they do nothing.
const BARE: &[(&str, bool)] = &[
    ("log-stdout", false),
    ("disable-auto-launch", false),
    ("offline", false),
    ("disable-api-nodes", false),
    ("disable-partner-nodes", false),
    ("disable-all-custom-nodes", false),
    ("auto-launch", true),
    ("windows-standalone-build", true),
    ("enable-manager", true),
    ("disable-manager-ui", true),
    ("enable-manager-legacy-ui", true),
    ("disable-assets", false),
    ("enable-asset-hashing", true),
    ("date-based-output", true),
    ("force-fp32", false),
    ("force-fp16", true),
    ("fp32-unet", false),
    ("fp64-unet", true),
    ("bf16-unet", true),
    ("fp16-unet", true),
    ("fp8_e4m3fn-unet", true),
    ("fp8_e5m2-unet", true),
    ("fp8_e8m0fnu-unet", true),
    ("fp32-vae", false),
    ("fp16-vae", true),
    ("bf16-vae", true),
    ("fp8_e4m3fn-text-enc", true),
    ("fp8_e5m2-text-enc", true),
    ("fp32-text-enc", false),
    ("fp16-text-enc", true),
    ("bf16-text-enc", true),
    ("fp16-intermediates", true),
    ("supports-fp8-compute", true),
    ("force-channels-last", true),
    ("force-non-blocking", true),
    ("mmap-torch-files", true),
    ("use-split-cross-attention", true),
    ("use-quad-cross-attention", true),
    ("use-pytorch-cross-attention", true),
    ("use-sage-attention", true),
    ("use-flash-attention", true),
    ("use-ck-attention", true),
    ("disable-xformers", true),
    ("force-upcast-attention", true),
    ("dont-upcast-attention", true),
    ("disable-ipex-optimize", true),
    ("disable-comfy-compiler", true),
    ("assert-graph-breaks", true),
    ("enable-triton-backend", true),
    ("disable-triton-backend", true),
    ("debug-hang", true),
];

/// Flags with values: how many at most.
const VALUED: &[(&str, usize)] = &[
    ("fast", 8),
    ("verbose", 2),
    ("oneapi-device-selector", 1),
    ("default-hashing-function", 1),
    ("database-url", 1),
    ("front-end-version", 1),
    ("comfy-api-base", 1),
    ("whitelist-custom-nodes", 1000),
    ("disabled-nodes-config", 1),
    ("date-output-format", 1),
    ("feature-flag", 1),
    ("preview-size", 1),
];

/// Those that were given and do nothing.
#[derive(Default)]
pub(super) struct Idle(Vec<&'static str>);

impl Idle {
    /// Their names.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

impl Args for Idle {
    fn augment_args(command: Command) -> Command {
        // Given twice is as good as once.
        let bare = BARE.iter().map(|(name, _)| Arg::new(*name).long(*name).hide(true).action(ArgAction::Count));
        let valued = VALUED
            .iter()
            .map(|(name, most)| Arg::new(*name).long(*name).hide(true).num_args(0..=*most).action(ArgAction::Append));
        bare.chain(valued).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Idle {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let said = BARE.iter().filter(|(_, said)| *said).map(|(name, _)| *name);
        let names = said.chain(VALUED.iter().map(|(name, _)| *name));
        Ok(Self(names.filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Idle;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        idle: Idle,
    }

    #[test]
    fn flags_of_comfyui_are_taken_and_unknown_ones_are_not() {
        let read = |line: &str| {
            let line = <Line as clap::Parser>::try_parse_from(std::iter::once("kiln").chain(line.split(' ')));
            line.ok().map(|line| line.idle.given().collect::<Vec<_>>())
        };
        assert_eq!(
            read("--force-fp16 --fast fp16_accumulation cublas_ops --fp32-vae"),
            Some(vec!["force-fp16", "fast"])
        );
        assert_eq!(read("--verbose DEBUG --verbose --log-stdout"), Some(vec!["verbose"]));
        assert_eq!(read("--no-such-flag"), None);
    }
}
