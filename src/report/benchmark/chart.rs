//! A bar chart: one row an underlay, one panel a figure, one bar a data path. Fonts are the viewer's.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::rounds;
use crate::bench::{Benchmark, Better, DataPath, Figure, Underlay};

const FIGURES: [Figure; 4] = [
    Figure::Tcp1,
    Figure::SmallDelivered,
    Figure::PingIdleMean,
    Figure::Cpu,
];
const PANEL_WIDTH: u32 = 290;
const HEAD: u32 = 56;
const TITLE: i32 = 46;
const BAR: i32 = 24;
/// From the panel's left edge to its bars: the paths' names.
const NAMES: i32 = 78;
/// Right of the longest bar: its value.
const VALUES: i32 = 56;
const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(110, 116, 126);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// As SVG.
///
/// # Errors
/// What the plotting crate refuses.
pub fn chart(result: &Benchmark) -> Result<String, Box<dyn std::error::Error>> {
    let plan = &result.plan;
    let bars = i32::try_from(plan.paths.len())?;
    let panel = u32::try_from(TITLE + bars * BAR + 14)?;
    let width = PANEL_WIDTH * u32::try_from(FIGURES.len())?;
    let height = HEAD + panel * u32::try_from(plan.underlays.len())?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, body) = root.split_vertically(HEAD);
        write(
            &head,
            "flannel's data paths: medians, one machine",
            (10, 14),
            18,
            HPos::Left,
            INK,
        )?;
        write(&head, &machine(result), (10, 40), 12, HPos::Left, FAINT)?;
        let panels = body.split_evenly((plan.underlays.len(), FIGURES.len()));
        let places = plan
            .underlays
            .iter()
            .flat_map(|underlay| FIGURES.map(|figure| (*underlay, figure)));
        for (area, (underlay, figure)) in panels.iter().zip(places) {
            draw(area, result, underlay, figure)?;
        }
        root.present()?;
    }
    svg.push('\n');
    Ok(svg)
}

fn machine(result: &Benchmark) -> String {
    let machine = &result.machine;
    format!(
        "flannelctl {}, {}, Linux {}, {} x {}, {} of {} s",
        result.version,
        result.date.get(..10).unwrap_or_default(),
        machine.kernel,
        machine.cores,
        machine.processor,
        rounds(result),
        result.plan.window.as_secs_f64(),
    )
}

fn draw(area: &Area<'_>, result: &Benchmark, underlay: Underlay, figure: Figure) -> Drawn {
    let better = match figure.better() {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
        Better::Neither => "",
    };
    let title = format!("{}, {}", figure.title(), figure.shown_unit());
    write(area, &title, (10, 10), 14, HPos::Left, INK)?;
    let note = format!("{}; {better}", underlay.name());
    write(area, &note, (10, 29), 12, HPos::Left, FAINT)?;
    let median = |path| Some(result.samples.summary(underlay, figure, path)?.median);
    let paths = &result.plan.paths;
    let longest = paths.iter().filter_map(|path| median(*path));
    let longest = longest.fold(0.0, f64::max);
    let room = f64::from(i32::try_from(PANEL_WIDTH)? - NAMES - VALUES);
    for (row, path) in (0_i32..).zip(paths) {
        let top = TITLE + row * BAR;
        let middle = top + BAR / 2;
        write(area, path.name(), (NAMES - 8, middle), 13, HPos::Right, INK)?;
        let Some(median) = median(*path) else {
            write(area, "not measured", (NAMES, middle), 12, HPos::Left, FAINT)?;
            continue;
        };
        #[allow(clippy::cast_possible_truncation, reason = "pixels of a panel")]
        let length = match longest > 0.0 {
            true => (median / longest * room).round() as i32,
            false => 0,
        };
        let corners = [(NAMES, top + 4), (NAMES + length.max(1), top + BAR - 4)];
        area.draw(&Rectangle::new(corners, colour(*path).filled()))?;
        let end = NAMES + length + 6;
        write(
            area,
            &figure.shown(median),
            (end, middle),
            13,
            HPos::Left,
            INK,
        )?;
    }
    Ok(())
}

/// Kernel paths are blue, ours green, another daemon's orange.
fn colour(path: DataPath) -> RGBColor {
    match path {
        DataPath::Bare => RGBColor(160, 166, 176),
        DataPath::HostGw => RGBColor(120, 170, 220),
        DataPath::Vxlan => RGBColor(50, 110, 180),
        DataPath::Udp => RGBColor(40, 140, 80),
        DataPath::UdpPlain => RGBColor(140, 200, 150),
        DataPath::PeerVxlan => RGBColor(230, 170, 80),
        DataPath::PeerUdp => RGBColor(205, 110, 40),
    }
}

fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    side: HPos,
    colour: RGBColor,
) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font())
        .color(&colour)
        .pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}
