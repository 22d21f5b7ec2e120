//! A network as a table.

use std::fmt::Write;

use super::Network;

impl Network {
    /// A table of the layers: output shape, parameters, multiply-adds and memory for one image, with totals.
    ///
    /// Multiply-adds are those of a direct computation. Memory is what training keeps for one image from the forward
    /// to the backward pass; what layers computed in one pass keep stands in the line of their last. A line below tells of
    /// [test-time flips](super::NetworkBuilder::test_time_flip), and of how many parameters train where layers are frozen.
    pub fn summary(&self) -> String {
        let mut lines =
            vec![["layer", "kind", "output", "parameters", "multiply-adds", "memory"].map(String::from)];
        lines.push(line("input", "", &self.input().to_string(), 0, 0, 4 * self.input().len()));
        let rows = self.layers.graph().rows();
        lines.extend(rows.iter().map(|row| {
            line(
                &row.name,
                &if row.frozen { format!("{}, frozen", row.kind) } else { row.kind.clone() },
                &row.output.to_string(),
                row.params,
                row.multiply_adds,
                row.saved_bytes,
            )
        }));
        lines.push(line(
            "total",
            "",
            "",
            rows.iter().map(|row| row.params).sum(),
            rows.iter().map(|row| row.multiply_adds).sum(),
            4 * self.input().len() + rows.iter().map(|row| row.saved_bytes).sum::<usize>(),
        ));
        let widths: [usize; 6] =
            std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
        let mut table = String::new();
        for (index, line) in lines.iter().enumerate() {
            if index == 1 || index + 1 == lines.len() {
                let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
                writeln!(table, "{rule}").expect("writing to a string");
            }
            let [name, kind, output, numbers @ ..] = line;
            let (w, text) =
                (widths, format!("{name:<0$}  {kind:<1$}  {output:<2$}", widths[0], widths[1], widths[2]));
            let [params, multiply_adds, memory] = numbers;
            let numbers = format!("{params:>0$}  {multiply_adds:>1$}  {memory:>2$}", w[3], w[4], w[5]);
            writeln!(table, "{text}  {numbers}").expect("writing to a string");
        }
        if rows.iter().any(|row| row.frozen) {
            let trained: usize =
                self.layers.graph().segments().iter().map(|segment| segment.range.len()).sum();
            writeln!(table, "{} parameters train, the others are frozen", thousands(trained as u64))
                .expect("writing to a string");
        }
        if self.spec().test_time_flip {
            table += "inference answers with the mean outputs of an image and its mirror image: twice the multiply-adds\n";
        }
        table
    }
}

fn line(
    name: &str,
    kind: &str,
    output: &str,
    params: usize,
    multiply_adds: u64,
    bytes: usize,
) -> [String; 6] {
    let count = |n: u64| if n == 0 { String::new() } else { thousands(n) };
    let memory = if bytes == 0 { String::new() } else { format!("{:.1} KB", bytes as f64 / 1024.0) };
    [name.into(), kind.into(), output.into(), count(params as u64), count(multiply_adds), memory]
}

/// `1234567` as `1,234,567`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Dense, Flatten};

    #[test]
    fn test_time_flips_are_told() {
        let told = |flip| {
            let builder = Network::builder((2, 2, 1)).add(Flatten).add(Dense::new(2)).test_time_flip(flip);
            builder.build().unwrap().summary().contains("mirror image: twice the multiply-adds\n")
        };
        assert_eq!((told(true), told(false)), (true, false));
    }
}
