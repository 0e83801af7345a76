//! A table in plain text: receives rows, hands on aligned lines. What a cell holds never breaks a
//! line, whoever wrote it.

/// Rows under a header, two spaces between columns; the last column is as wide as it likes.
pub(crate) fn render<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let one_line = |cell: &String| cell.replace(char::is_control, " ");
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|column| one_line(&row[column])))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(header[column].chars().count())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut lines = vec![line(&header.map(str::to_owned), &widths)];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n")
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&format!("{cell:<width$}  "));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_where_they_end() {
        let rows = [
            ["é".to_owned(), "ready".to_owned()],
            ["long\nname".to_owned(), String::new()],
        ];
        assert_eq!(
            render(["ID", "STATE"], &rows),
            "ID         STATE\né          ready\nlong name"
        );
    }
}
