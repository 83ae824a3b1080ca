//! The order in which entries can be made: what others refer to comes first, and an account after the one above it.

use std::collections::HashMap;

use super::lines::Line;
use crate::store::resource::Resource;

/// Puts lines in that order; else they stay as they were.
pub(super) fn arrange(lines: &mut [Line]) -> Result<(), Vec<String>> {
    let depths = depths(lines)?;
    let depth = |line: &Line| depths.get(&line.number).copied().unwrap_or(0);
    lines.sort_by_key(|line| (place(line.resource), depth(line)));
    Ok(())
}

fn place(resource: Resource) -> usize {
    Resource::ALL.iter().position(|other| *other == resource).unwrap_or(usize::MAX)
}

/// How many accounts of the file stand above each account, by line.
fn depths(lines: &[Line]) -> Result<HashMap<usize, usize>, Vec<String>> {
    let accounts: HashMap<&str, &Line> = lines
        .iter()
        .filter(|line| line.resource == Resource::Account)
        .filter_map(|line| Some((line.id.as_deref()?, line)))
        .collect();
    let above = |line: &Line| line.parent.as_deref().and_then(|parent| accounts.get(parent).copied());
    let (mut depths, mut faults) = (HashMap::new(), Vec::new());
    for line in lines.iter().filter(|line| line.resource == Resource::Account) {
        let mut chain = vec![line];
        let mut top = above(line);
        // Up to an account whose depth is known, or to one that has none above it.
        while let Some(next) = top.filter(|next| !depths.contains_key(&next.number)) {
            if chain.len() > accounts.len() {
                break;
            }
            chain.push(next);
            top = above(next);
        }
        if chain.len() > accounts.len() && top.is_some() {
            faults.push(format!("line {}: following `parent` from this account leads in a circle", line.number));
            continue;
        }
        let depth = top.and_then(|top| depths.get(&top.number)).map_or(0, |depth| depth + 1);
        depths.extend((depth..).zip(chain.into_iter().rev()).map(|(depth, line)| (line.number, depth)));
    }
    if faults.is_empty() { Ok(depths) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::transfer::lines;

    fn arranged(text: &str) -> Result<Vec<String>, Vec<String>> {
        let mut lines =
            lines::read(text.as_bytes(), &lines::Reading::default()).unwrap_or_else(|faults| panic!("{faults:?}"));
        arrange(&mut lines)?;
        Ok(lines.into_iter().map(|line| line.id.unwrap_or_default()).collect())
    }

    #[test]
    fn what_others_refer_to_comes_first() {
        let text = r#"{"resource":"token","id":"t","camera":"c1"}
            {"resource":"camera_group","id":"g","account":"top"}
            {"resource":"account","id":"grandchild","parent":"child"}
            {"resource":"bearer_token","id":"b","user":"u"}
            {"resource":"camera","id":"c2","account":"top"}
            {"resource":"account","id":"child","parent":"top"}
            {"resource":"user","id":"u","account":"top","login":"u"}
            {"resource":"camera","id":"c1","account":"top"}
            {"resource":"account","id":"elsewhere","parent":"in-the-store"}
            {"resource":"account","id":"top"}"#;
        let expected = ["elsewhere", "top", "child", "grandchild", "c2", "c1", "g", "t", "u", "b"];
        assert_eq!(arranged(text).unwrap(), expected);
    }

    #[test]
    fn a_circle_of_accounts_is_found() {
        let text = r#"{"resource":"account","id":"a","parent":"b"}
            {"resource":"account","id":"b","parent":"a"}
            {"resource":"account","id":"c"}
            {"resource":"account","id":"d","parent":"d"}"#;
        let faults = arranged(text).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("line 1: ") && faults[2].starts_with("line 4: "));
    }

    #[test]
    fn a_long_line_of_accounts_takes_no_long_time() {
        let line =
            |place: usize| format!("{{\"resource\":\"account\",\"id\":\"{place}\",\"parent\":\"{}\"}}\n", place + 1);
        let text: String = (0..20_000).map(line).collect();
        let order = arranged(&text).unwrap();
        assert_eq!((order[0].as_str(), order[19_999].as_str()), ("19999", "0"));
    }
}
