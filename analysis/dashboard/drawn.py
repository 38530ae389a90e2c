"""Turns sections and panels into those of W&B: its workspace, and the blocks of its report.

The packages of W&B are imported here alone; without them the rest of the program works.
"""

import wandb_workspaces.expr as expr
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.reports.v2 import interface as drawing

from analysis.dashboard.kinds import Bars, Curve, Dots, Number, Panel, Rows, Section
from analysis.dashboard.panels import CLAIMS, JOBS, SORTED_BY, START, sections

SHOWN = 50  # runs in a panel; W&B draws 10 unless it is told
WIDE, HIGH, ACROSS = 12, 8, 2  # of a panel of the report, whose grid has 24 columns
ABOUT = (
    "These panels are drawn from what the runs of this project have logged. The files in a run's own folder, and the "
    "report.html in it, are the record: they have every number with its interval, and all references."
)


def workspace(entity: str, project: str, name: str) -> ws.Workspace:
    """Returns a workspace that is not saved yet: the runs grouped by study, job type, and the epoch of pre-training
    from which they start; those with the largest share preserved first. This needs neither a login nor a network."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            ws.Section(name=section.title, panels=[_panel(panel) for panel in section.panels], is_open=True)
            for section in sections()
        ],
        settings=ws.WorkspaceSettings(max_runs=SHOWN, group_by_prefix="first"),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(expr.Metric("JobType").isin(list(JOBS))),
            groupby=[expr.Metric("Group"), expr.Metric("JobType"), expr.Config(START)],
            order=[expr.Ordering(expr.Summary(SORTED_BY), ascending=False)],
            pinned_columns=[f"summary:{name}" for name in CLAIMS],
        ),
    )


def report(entity: str, project: str, name: str) -> wr.Report:
    """Returns a report that is not saved yet. To build its specification W&B asks the server for the project."""
    return wr.Report(entity=entity, project=project, title=name, width="fluid", description=ABOUT,
                     blocks=blocks(entity, project))  # fmt: skip


def blocks(entity: str, project: str) -> list[drawing.Block]:
    """Returns the blocks of the report: for each section a heading, the question, how to read it, and the panels."""
    found: list[drawing.Block] = [wr.TableOfContents(), wr.P(ABOUT)]
    for section in sections():
        found += [wr.H2(section.title), wr.P(section.question), wr.P(section.how), _grid(section, entity, project)]
    return found


def _grid(section: Section, entity: str, project: str) -> wr.PanelGrid:
    """Its set of runs has only those that have the section's metrics, in the same groups as the workspace."""
    runs = wr.Runset(
        entity=entity,
        project=project,
        name=", ".join(section.jobs),
        filters=expr.And(expr.Metric("JobType").isin(list(section.jobs))),
        groupby=["Group", "JobType", f"config.{START}"],
        order=[wr.OrderBy(wr.SummaryMetric(SORTED_BY), ascending=False)],
    )
    panels = [_panel(panel) for panel in section.panels]
    for at, panel in enumerate(panels):
        panel.layout = wr.Layout(x=WIDE * (at % ACROSS), y=HIGH * (at // ACROSS), w=WIDE, h=HIGH)
    return wr.PanelGrid(runsets=[runs], panels=panels)


def _panel(panel: Panel) -> drawing.Panel:
    match panel:
        case Curve(title, axis, metrics, pattern):
            return wr.LinePlot(title=title, x=axis, y=list(metrics), metric_regex=pattern or None, title_x=axis,
                               max_runs_to_show=SHOWN)  # fmt: skip
        case Bars(title, metrics):
            return wr.BarPlot(title=title, metrics=list(metrics), max_runs_to_show=SHOWN)
        case Dots(title, setting, metric):
            return wr.ScatterPlot(title=title, x=wr.Config(setting), y=wr.SummaryMetric(metric))
        case Number(title, metric):
            return wr.ScalarChart(title=title, metric=wr.SummaryMetric(metric))
        case Rows(metric):
            return wr.WeavePanelSummaryTable(table_name=metric)
