//! `nexus plugin list`: the running hub's plugins; without a hub, the files in the plugins folder.
//!
//! Always says which of the two it tells. Looking at files runs nothing of them.

use serde::Serialize;
use serde_json::Value;

use super::{components, isolation_name};
use crate::cli::{Common, List};
use crate::configuration;
use crate::failure::Failure;
use crate::hub::{Hub, KEY_VARIABLE, Trouble, entries};
use crate::survey::{self, Surveyed};
use crate::{output, table};

/// What is printed: where it was learnt, and the rows.
#[derive(Serialize)]
struct Listing {
    /// `hub` or `folder`.
    from: &'static str,
    /// The hub's address or the folder.
    place: String,
    plugins: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: Option<String>,
    version: Option<String>,
    state: String,
    /// Since when, as the hub tells it (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    isolation: Option<String>,
    components: Vec<String>,
    /// Absent for one that is linked into the hub.
    file: Option<String>,
    /// Why it is refused, or not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Lists plugins.
///
/// # Errors
/// When the hub that `--url` names does not answer, a hub refuses, or the folder cannot be read.
pub(crate) async fn list(common: &Common, options: &List) -> Result<(), Failure> {
    if options.reach.url.is_some() {
        let hub = Hub::find(common, &options.reach)?;
        return online(common, &hub, hub.get(PATH).await?);
    }
    let config = configuration::load(common)?;
    let why_offline = match Hub::find_if_key(&options.reach, &config)? {
        Some(hub) => match hub.get(PATH).await {
            Ok(answer) => return online(common, &hub, answer),
            Err(Trouble::NoHub(_)) => format!("no hub answers at {}", hub.address()),
            Err(refused) => return Err(refused.into()),
        },
        None => format!("no running hub was asked ({KEY_VARIABLE} is not set)"),
    };
    let folder = config.plugins.dir.display().to_string();
    let files = survey::folder(&config)
        .map_err(|error| Failure::failed(format!("the plugins folder {folder}: {error}")))?;
    let listing = Listing {
        from: "folder",
        place: folder,
        plugins: files.iter().map(of_file).collect(),
    };
    let introduction = format!(
        "{why_offline}: these are the files in {}; nothing of them was run",
        listing.place
    );
    tell(common, &listing, &introduction, "no plugin files there");
    Ok(())
}

const PATH: &str = "/v1/admin/plugins";

fn online(common: &Common, hub: &Hub, answer: Value) -> Result<(), Failure> {
    let plugins = entries(answer, "plugins")?;
    let listing = Listing {
        from: "hub",
        place: hub.address().to_owned(),
        plugins: plugins.iter().map(of_hub).collect(),
    };
    let introduction = format!("plugins of the hub at {}", listing.place);
    tell(common, &listing, &introduction, "none");
    Ok(())
}

fn of_file(file: &Surveyed) -> Row {
    let manifest = file.manifest.as_ref();
    let refusal = file.refusal.as_ref();
    let state = match refusal {
        None => "loadable",
        Some(refusal) if refusal.is_wanted() => "disabled",
        Some(_) => "refused",
    };
    Row {
        id: manifest.map(|manifest| manifest.id.clone()),
        version: manifest.map(|manifest| manifest.version.clone()),
        state: state.to_owned(),
        since: None,
        isolation: manifest.map(|_| isolation_name(file.isolation)),
        components: manifest.map(components).into_iter().collect(),
        file: Some(file.path.display().to_string()),
        code: refusal.map(|refusal| refusal.code.to_owned()),
        reason: refusal.map(|refusal| refusal.reason.clone()),
        help: refusal.map(|refusal| refusal.help.clone()),
    }
}

/// A row of the hub's answer; what an older or newer hub does not tell stays empty.
fn of_hub(plugin: &Value) -> Row {
    let text = |key: &str| plugin[key].as_str().map(str::to_owned);
    let of_refusal = |key: &str| plugin["refusal"][key].as_str().map(str::to_owned);
    let component = |component: &Value| match component {
        Value::String(name) => name.clone(),
        other => {
            let part = |key: &str| other[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("kind"), part("name"))
        }
    };
    let listed = plugin["components"].as_array();
    let reason = of_refusal("reason").or_else(|| text("reason"));
    Row {
        id: text("id"),
        version: text("version"),
        state: text("state").unwrap_or_else(|| "?".to_owned()),
        since: text("since"),
        isolation: text("isolation"),
        components: listed.into_iter().flatten().map(component).collect(),
        file: plugin["origin"]["path"].as_str().map(str::to_owned),
        code: of_refusal("code"),
        reason,
        help: of_refusal("help"),
    }
}

/// A time without its parts of a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

fn tell(common: &Common, listing: &Listing, introduction: &str, none: &str) {
    if common.json {
        output::json(listing);
        return;
    }
    output::line(introduction);
    if listing.plugins.is_empty() {
        output::line(none);
        return;
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |row: &Row| {
        let why = [&row.code, &row.reason].into_iter().flatten().cloned();
        let mut why = why.collect::<Vec<_>>().join(": ");
        if let Some(help) = &row.help {
            why.push_str("; ");
            why.push_str(help);
        }
        let components = row.components.join(", ");
        [
            or_dash(&row.id),
            or_dash(&row.version),
            row.state.clone(),
            or_dash(&row.since.as_deref().map(seconds)),
            or_dash(&row.isolation),
            or_dash(&Some(components).filter(|text| !text.is_empty())),
            row.file.clone().unwrap_or_else(|| "(linked)".to_owned()),
            why,
        ]
    };
    let rows: Vec<_> = listing.plugins.iter().map(row).collect();
    let header = [
        "ID",
        "VERSION",
        "STATE",
        "SINCE",
        "ISOLATION",
        "COMPONENTS",
        "FILE",
        "",
    ];
    output::line(&table::render(header, &rows));
}
