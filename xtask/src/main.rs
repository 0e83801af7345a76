//! `cargo xtask`: receives the name of a chore, does it, and ends with 0, 1 (failed) or 2 (usage).
//!
//! Everything a maintainer or a newcomer runs by hand is here, so that it is the same on every
//! machine and in CI. It is no part of the product, and the product never needs it.

mod artifacts;
mod console;
mod demo;
mod failure;
mod fuzz;
mod http;
mod program;
mod service;
mod stage;
mod stop;
mod test;
mod tool;
mod workspace;

use std::process::ExitCode;

use failure::Result;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  stage          build release and put hub, reference Toasty server and plugins into target/stage
  demo           stage, start both, send notifications, show what happens, go on until Ctrl-C
  demo --once    the same story, each step asserted; ends with 0 or 1
  test           everything that must pass
  bench [ARGS]   the benchmarks; ARGS go to them, for example --quick
  soak kill --cycles N [--seed S]
                 kill a hub under load again and again, and look for what is lost
  fuzz --seconds N [TARGET...]
                 feed the parsers of foreign bytes with made-up ones, N seconds for each target;
                 every target when none is named; ends with 1 when something is found";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Chore {
    Stage,
    Demo {
        once: bool,
    },
    Test,
    Fuzz {
        /// For each target.
        seconds: u32,
        /// All of them when none is named.
        targets: Vec<String>,
    },
    /// A program with arguments of its own.
    Program {
        name: &'static str,
        args: Vec<String>,
    },
    Help,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let chore = match parse(&args) {
        Ok(chore) => chore,
        Err(wrong) => {
            console::warn(format_args!("xtask: {wrong}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match perform(chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            console::warn(format_args!("xtask: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn parse(args: &[String]) -> std::result::Result<Chore, String> {
    let (command, rest) = args.split_first().ok_or("no command")?;
    let chore = match (command.as_str(), rest) {
        ("bench", rest) => return Ok(program("bench", rest)),
        ("soak", rest) => return Ok(program("soak", rest)),
        ("fuzz", rest) => return fuzz_of(rest),
        ("demo", [once, ..]) if once == "--once" => (Chore::Demo { once: true }, &rest[1..]),
        ("demo", rest) => (Chore::Demo { once: false }, rest),
        ("stage", rest) => (Chore::Stage, rest),
        ("test", rest) => (Chore::Test, rest),
        ("help" | "-h" | "--help", rest) => (Chore::Help, rest),
        (other, _) => return Err(format!("no command `{other}`")),
    };
    match chore {
        (chore, []) => Ok(chore),
        (_, [extra, ..]) => Err(format!("`{command}` takes no `{extra}`")),
    }
}

fn fuzz_of(args: &[String]) -> std::result::Result<Chore, String> {
    let (mut seconds, mut targets) = (None, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let number = args.next().and_then(|text| text.parse().ok());
            seconds = Some(number.filter(|seconds| *seconds > 0));
        } else if arg.starts_with('-') {
            return Err(format!("`fuzz` takes no `{arg}`"));
        } else {
            targets.push(arg.clone());
        }
    }
    match seconds {
        Some(Some(seconds)) => Ok(Chore::Fuzz { seconds, targets }),
        Some(None) => Err("`--seconds` takes a number, 1 or more".to_owned()),
        None => Err("`fuzz` needs `--seconds N`, for each target".to_owned()),
    }
}

fn program(name: &'static str, args: &[String]) -> Chore {
    // `cargo xtask bench -- --quick` means the same as without the dashes.
    let args = match args {
        [dashes, rest @ ..] if dashes == "--" => rest,
        all => all,
    };
    Chore::Program {
        name,
        args: args.to_vec(),
    }
}

/// Whether all went well; a failure that has been reported already is `false`.
fn perform(chore: Chore) -> Result<bool> {
    match chore {
        Chore::Stage => stage::stage(&Workspace::read()?).map(|_| true),
        Chore::Demo { once } => demo::demo(&Workspace::read()?, once),
        Chore::Test => test::test(&Workspace::read()?),
        Chore::Fuzz { seconds, targets } => fuzz::fuzz(&Workspace::read()?, seconds, &targets),
        Chore::Program { name, args } => program::run(&Workspace::read()?, name, &args),
        Chore::Help => {
            console::print(format_args!("{USAGE}"));
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> std::result::Result<Chore, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(parsed("demo"), Ok(Chore::Demo { once: false }));
        assert_eq!(parsed("demo --once"), Ok(Chore::Demo { once: true }));
        let quick = Chore::Program {
            name: "bench",
            args: vec!["--quick".to_owned()],
        };
        assert_eq!(parsed("bench --quick"), Ok(quick));
        assert_eq!(parsed("bench -- --quick"), parsed("bench --quick"));
        let fuzz = |seconds, targets: &[&str]| Chore::Fuzz {
            seconds,
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
        };
        assert_eq!(parsed("fuzz --seconds 60"), Ok(fuzz(60, &[])));
        assert_eq!(
            parsed("fuzz event --seconds 1 rule"),
            Ok(fuzz(1, &["event", "rule"]))
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for line in [
            "",
            "dem",
            "demo --twice",
            "test fast",
            "stage --once",
            "fuzz",
            "fuzz event",
            "fuzz --seconds",
            "fuzz --seconds 0",
            "fuzz --seconds soon",
            "fuzz --hours 1",
        ] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }
}
