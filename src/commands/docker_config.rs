//! `docker-config`: `subnet.env` → what Docker must be told. Reads files, the routes and dockerd's version;
//! the decisions are `docker`'s.

mod surroundings;

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Context, output, write_file};
use crate::cli::{DockerConfigArgs, DockerFormat};
use crate::docker::daemon_json::{self, MergeError};
use crate::docker::opts::Form;
use crate::docker::{DockerOptions, opts, sysconfig, systemd};
use crate::exit::{Code, Failure};
use crate::report::{json, message};
use crate::settings;

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help; nothing is printed or written then.
pub async fn run(
    args: &DockerConfigArgs,
    ctx: &Context,
    out: &mut dyn Write,
) -> Result<Code, Failure> {
    let form = form(args)?;
    let subnet_file = settings::subnet_file(args.subnet_file.as_deref(), &ctx.env);
    let mut options = read(&subnet_file, !args.no_ip_masq)?;
    options.allow_direct_routing = args.allow_direct_routing;
    surroundings::refuse_foreign_route(&options)?;
    surroundings::mention_direct_routing(&options, &daemon_json_path(args));

    let target = args.write.as_ref().map(|path| {
        path.clone()
            .unwrap_or_else(|| args.format.default_path().into())
    });
    let text = match args.format {
        DockerFormat::Sysconfig => {
            surroundings::warn_of_given_twice(&options, &daemon_json_path(args));
            sysconfig_text(&options, &form.key, target.as_deref())?
        }
        DockerFormat::Opts => {
            surroundings::warn_of_given_twice(&options, &daemon_json_path(args));
            opts::render(&options, &form)
                .map_err(|error| Failure::usage(format!("{}: {error}", subnet_file.display())))?
        }
        DockerFormat::DaemonJson => {
            surroundings::warn_of_flags(&options);
            daemon_json_text(&options, &daemon_json_path(args))?
        }
        DockerFormat::Systemd => {
            surroundings::warn_of_given_twice(&options, &daemon_json_path(args));
            systemd_text(args, &options, &form.key, &subnet_file)?
        }
    };
    match target {
        None => out.write_all(text.as_bytes()).map_err(output)?,
        Some(path) => write(args.format, &path, &text)?,
    }
    Ok(Code::Done)
}

/// The flags that belong to some formats only.
fn form(args: &DockerConfigArgs) -> Result<Form, Failure> {
    if args.format != DockerFormat::Opts && (args.individual || args.combined) {
        return Err(Failure::usage(
            "-i and -c belong to --format opts, the form of mk-docker-opts.sh",
        ));
    }
    if args.format == DockerFormat::DaemonJson && args.key.is_some() {
        return Err(Failure::usage(
            "-k names a variable, and --format daemon-json has none",
        ));
    }
    let default = match args.format {
        DockerFormat::Opts => "DOCKER_OPTS",
        _ => "DOCKER_NETWORK_OPTIONS",
    };
    let key = args.key.as_deref().unwrap_or(default);
    Form::new(args.individual, args.combined, key)
        .map_err(|error| Failure::usage(format!("-k: {error}")))
}

fn read(path: &Path, with_ip_masq: bool) -> Result<DockerOptions, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure = Failure::could_not_run(format!("cannot read {shown}: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.with_remedy(
                "the agent writes it when the network is ready: is `flannelctl agent` running, and with this \
                 --subnet-file?",
            ),
            _ => failure,
        }
    })?;
    DockerOptions::read(&text, with_ip_masq).map_err(|error| {
        Failure::usage(format!("{shown}: {error}"))
            .with_remedy("`flannelctl agent` writes the file anew when it is restarted")
    })
}

fn daemon_json_path(args: &DockerConfigArgs) -> PathBuf {
    let written = match (&args.write, args.format) {
        (Some(Some(path)), DockerFormat::DaemonJson) => Some(path.clone()),
        _ => None,
    };
    args.daemon_json
        .clone()
        .or(written)
        .unwrap_or_else(|| DockerFormat::DaemonJson.default_path().into())
}

/// The text of a file that need not exist.
fn existing(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::could_not_run(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

fn sysconfig_text(
    options: &DockerOptions,
    key: &str,
    target: Option<&Path>,
) -> Result<String, Failure> {
    let line = sysconfig::line(options, key);
    let Some(target) = target else {
        return Ok(line);
    };
    let (text, replaced) = sysconfig::merge(&existing(target)?, key, &line);
    for old in replaced {
        message::note(format!("{}: replaces {old}", target.display()));
    }
    Ok(text)
}

fn daemon_json_text(options: &DockerOptions, path: &Path) -> Result<String, Failure> {
    let merged = daemon_json::merge(&existing(path)?, options).map_err(|error| {
        let message = match &error {
            MergeError::Json(why) => format!("{} {error}: {why}", path.display()),
            _ => format!("{} {error}", path.display()),
        };
        match error {
            MergeError::Bridge(_) => Failure::new(Code::Problems, message)
                .with_remedy("remove \"bridge\" from the file, or give that bridge the subnet's address yourself"),
            _ => Failure::usage(message),
        }
    })?;
    for warning in merged.warnings {
        message::warning(format!("{}: {warning}", path.display()));
    }
    json::indented(&merged.config, &merged.indent).map_err(Failure::could_not_run)
}

fn systemd_text(
    args: &DockerConfigArgs,
    options: &DockerOptions,
    key: &str,
    subnet_file: &Path,
) -> Result<String, Failure> {
    let exec_start = match surroundings::docker_unit(args.docker_unit.as_deref())? {
        Some(unit) => systemd::exec_start(&unit).ok_or_else(|| {
            Failure::usage("docker.service has no ExecStart that could be extended")
                .with_remedy("name the unit with --docker-unit")
        })?,
        None => {
            message::note("no docker.service is found here: Debian's command line is used");
            systemd::DEBIAN_EXEC_START.to_owned()
        }
    };
    // systemd wants absolute paths.
    let absolute = |path: &Path| {
        std::path::absolute(path)
            .map(|path| path.to_string_lossy().into_owned())
            .map_err(|error| Failure::could_not_run(format!("{}: {error}", path.display())))
    };
    let program = std::env::current_exe()
        .map_err(|error| Failure::could_not_run(format!("cannot tell my own path: {error}")))?;
    let mut flags = Vec::new();
    if args.no_ip_masq {
        flags.push("--no-ip-masq");
    }
    if args.allow_direct_routing {
        flags.push("--allow-direct-routing");
    }
    let drop_in = systemd::DropIn {
        flannelctl: &absolute(&program)?,
        subnet_file: &absolute(subnet_file)?,
        options_file: &absolute(&subnet_file.with_file_name("docker"))?,
        key,
        flags: &flags,
        exec_start: &exec_start,
    };
    Ok(drop_in.render(options))
}

fn write(format: DockerFormat, path: &Path, text: &str) -> Result<(), Failure> {
    write_file(path, text)?;
    let next = match format {
        DockerFormat::Systemd => "systemctl daemon-reload && systemctl restart docker",
        _ => "systemctl restart docker",
    };
    message::note(format!(
        "wrote {}; takes effect with: {next}",
        path.display()
    ));
    Ok(())
}
