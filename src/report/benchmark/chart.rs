//! A bar chart: one column an underlay, one panel a figure, one bar a data path. Fonts are the viewer's.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{rounds, times};
use crate::bench::{Benchmark, Better, DataPath, Figure, Summary, Underlay};
use crate::report::terminal;

const FIGURES: [Figure; 5] = [
    Figure::Tcp1,
    Figure::SmallDelivered,
    Figure::PingIdleMean,
    Figure::PingLoadMean,
    Figure::Cpu,
];
const PANEL_WIDTH: i32 = 470;
const MARGIN: i32 = 14;
/// Title and caption.
const HEAD: i32 = 112;
/// A panel's title.
const TITLE: i32 = 28;
const BAR: i32 = 20;
/// Between two panels.
const GAP: i32 = 16;
/// From the panel's left edge to its bars: the paths' names.
const NAMES: i32 = 96;
/// Right of the longest bar: its value and ratio.
const VALUES: i32 = 118;
const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(100, 106, 116);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A place for text, its size and its colour.
type Spot = (i32, i32, HPos, i32, RGBColor);

/// As SVG.
///
/// # Errors
/// What the plotting crate refuses.
pub fn chart(result: &Benchmark) -> Result<String, Box<dyn std::error::Error>> {
    let underlays = &result.plan.underlays;
    let panel = TITLE + i32::try_from(result.plan.paths.len())? * BAR + GAP;
    let width = PANEL_WIDTH * i32::try_from(underlays.len())?;
    let height = HEAD + panel * i32::try_from(FIGURES.len())?;
    let size = (u32::try_from(width)?, u32::try_from(height)?);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, body) = root.split_vertically(HEAD);
        draw_head(&head, result)?;
        let panels = body.split_evenly((FIGURES.len(), underlays.len()));
        let places = FIGURES
            .iter()
            .flat_map(|figure| underlays.iter().map(|underlay| (*underlay, *figure)));
        for (area, (underlay, figure)) in panels.iter().zip(places) {
            draw(area, result, underlay, figure)?;
        }
        root.present()?;
    }
    svg.push('\n');
    Ok(svg)
}

fn draw_head(head: &Area<'_>, result: &Benchmark) -> Drawn {
    let title = "flannel's data paths side by side";
    write(head, title, (MARGIN, 20, HPos::Left, 18, INK))?;
    for (line, text) in (0_i32..).zip(caption(result)) {
        let y = 44 + line * 16;
        write(head, &text, (MARGIN, y, HPos::Left, 12, FAINT))?;
    }
    for (column, underlay) in (0_i32..).zip(&result.plan.underlays) {
        let text = format!("{}: {}", underlay.name(), underlay.meaning());
        let x = column * PANEL_WIDTH + MARGIN;
        write(head, &text, (x, HEAD - 14, HPos::Left, 14, INK))?;
    }
    Ok(())
}

/// What the figures are worth nothing without.
fn caption(result: &Benchmark) -> [String; 3] {
    let (machine, plan) = (&result.machine, &result.plan);
    let what = format!(
        "flannelctl {}, {}, {} of {} s a load, TCP with {}{}",
        result.version,
        result.date.get(..10).unwrap_or_default(),
        rounds(result),
        plan.window.as_secs_f64(),
        machine.congestion_control,
        if result.complete { "" } else { ", interrupted" },
    );
    let machine = format!(
        "both hosts on one machine: Linux {}, {} x {}",
        machine.kernel, machine.cores, machine.processor
    );
    let key = "bar: median; line: slowest to fastest round; ×: ratio to vxlan".to_owned();
    [what, machine, key].map(|text| terminal::clean(&text).into_owned())
}

fn draw(area: &Area<'_>, result: &Benchmark, underlay: Underlay, figure: Figure) -> Drawn {
    let better = match figure.better() {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
        Better::Neither => "",
    };
    let title = format!("{}, {}", figure.title(), figure.shown_unit());
    write(area, &title, (MARGIN, 14, HPos::Left, 13, INK))?;
    let right = PANEL_WIDTH - MARGIN;
    write(area, better, (right, 14, HPos::Right, 12, FAINT))?;
    let paths = &result.plan.paths;
    let summaries = paths
        .iter()
        .filter_map(|path| result.samples.summary(underlay, figure, *path));
    let longest = summaries.map(|summary| summary.max).fold(0.0, f64::max);
    let room = f64::from(PANEL_WIDTH - NAMES - VALUES);
    #[allow(clippy::cast_possible_truncation, reason = "pixels of a panel")]
    let x = |value: f64| match longest > 0.0 {
        true => NAMES + (value / longest * room).round() as i32,
        false => NAMES,
    };
    for (row, path) in (0_i32..).zip(paths) {
        let middle = TITLE + row * BAR + BAR / 2;
        let name = (NAMES - 8, middle, HPos::Right, 13, INK);
        write(area, path.name(), name)?;
        let Some(summary) = result.samples.summary(underlay, figure, *path) else {
            let place = (NAMES, middle, HPos::Left, 12, FAINT);
            write(area, "not measured", place)?;
            continue;
        };
        draw_bar(area, summary, *path, middle, x)?;
        let end = x(summary.max) + 8;
        let value = figure.shown(summary.median);
        let wide = i32::try_from(value.len())? * 8;
        write(area, &value, (end, middle, HPos::Left, 13, INK))?;
        let samples = &result.samples;
        let ratio = samples.ratio(underlay, figure, *path, DataPath::Vxlan);
        if let Some(ratio) = ratio.filter(|_| *path != DataPath::Vxlan) {
            let text = format!("×{}", times(ratio.median));
            let place = (end + wide + 6, middle, HPos::Left, 12, FAINT);
            write(area, &text, place)?;
        }
    }
    Ok(())
}

fn draw_bar(
    area: &Area<'_>,
    summary: Summary,
    path: DataPath,
    middle: i32,
    x: impl Fn(f64) -> i32,
) -> Drawn {
    let right = x(summary.median).max(NAMES + 1);
    let corners = [(NAMES, middle - 7), (right, middle + 7)];
    area.draw(&Rectangle::new(corners, colour(path).filled()))?;
    let (min, max) = (x(summary.min), x(summary.max));
    // Rounds that agree need no line.
    if max - min >= 2 {
        let ends = [min, max].map(|x| vec![(x, middle - 3), (x, middle + 3)]);
        let line = vec![(min, middle), (max, middle)];
        for line in ends.into_iter().chain([line]) {
            area.draw(&PathElement::new(line, INK.stroke_width(1)))?;
        }
    }
    Ok(())
}

/// Kernel paths are blue, ours green, another daemon's orange.
fn colour(path: DataPath) -> RGBColor {
    match path {
        DataPath::Bare => RGBColor(160, 166, 176),
        DataPath::HostGw => RGBColor(120, 170, 220),
        DataPath::Vxlan => RGBColor(70, 130, 200),
        DataPath::Udp => RGBColor(60, 160, 100),
        DataPath::UdpPlain => RGBColor(150, 205, 160),
        DataPath::PeerVxlan => RGBColor(235, 185, 105),
        DataPath::PeerUdp => RGBColor(220, 130, 60),
    }
}

fn write(area: &Area<'_>, text: &str, (x, y, side, pixels, colour): Spot) -> Drawn {
    // The SVG back end takes sizes as heights of lines.
    let font = ("sans-serif", f64::from(pixels) * 1.24).into_font();
    let style = TextStyle::from(font)
        .color(&colour)
        .pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), (x, y), style))?;
    Ok(())
}
