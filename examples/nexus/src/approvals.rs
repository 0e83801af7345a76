//! `nexus approvals`: receives which questions are meant, prints them, or hands an answer to the hub, which decides
//! whether it counts.

use serde_json::{Value, json};

use crate::cli::{AnswerApproval, Common, ListApprovals, ShowApproval};
use crate::failure::Failure;
use crate::hub::{Hub, entries};
use crate::{listing, output};

const PATH: &str = "/v1/admin/approvals";

const HEADER: [&str; 6] = ["ID", "STATUS", "ASKED BY", "UNTIL", "QUESTION", "CHOICES"];

/// Lists approvals.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn list(common: &Common, options: &ListApprovals) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let query = match options.all {
        true => Vec::new(),
        false => vec![("status", "pending".to_owned())],
    };
    let approvals = entries(hub.get_with(PATH, &query).await?, "approvals")?;
    let none = match options.all {
        true => "no approvals",
        false => "no approval waits for an answer",
    };
    listing::tell(common, &approvals, none, HEADER, row);
    Ok(())
}

/// Shows one approval whole.
///
/// # Errors
/// When the hub does not answer or has no such approval.
pub(crate) async fn show(common: &Common, options: &ShowApproval) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let approval = hub.get(&format!("{PATH}/{}", options.id)).await?;
    // All there is to tell is the data itself, with and without --json.
    output::json(&approval);
    Ok(())
}

/// Answers an approval.
///
/// # Errors
/// When the hub does not answer, or the answer does not count.
pub(crate) async fn answer(common: &Common, options: &AnswerApproval) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let body = json!({ "choice": options.choice, "note": options.note });
    let path = format!("{PATH}/{}", options.id);
    let approval = hub.post(&path, body.to_string()).await?;
    if common.json {
        output::json(&approval);
    } else {
        let title = listing::text(&approval, "title");
        output::line(&output::one_line(&format!("{title}: {}", options.choice)));
    }
    Ok(())
}

fn row(approval: &Value) -> [String; 6] {
    let text = |key: &str| listing::text(approval, key);
    let status = match approval["answer"]["choice"].as_str() {
        Some(choice) => format!("{}: {choice}", text("status")),
        None => text("status"),
    };
    let choices = approval["choices"].as_array().into_iter().flatten();
    let ids: Vec<_> = choices.filter_map(|choice| choice["id"].as_str()).collect();
    [
        text("id"),
        status,
        text("asked_by"),
        text("expires_at"),
        text("title"),
        ids.join(", "),
    ]
}
