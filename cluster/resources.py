"""What a job gets, out of conf/cluster/, and as submitit takes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from cluster.tasks import Task
from conf.errors import BadInput

if TYPE_CHECKING:
    from submitit import SlurmExecutor

WARNED = 90  # seconds before the time limit in which a job hears of it; of short jobs, a quarter of their time
NEEDED = 'cluster.submit needs submitit: pip install ".[cluster]"'


@dataclass(frozen=True)
class Resources:
    """Of each process: minutes, CPUs, GPUs; of a node: GB of memory. tasks: processes on each of the nodes."""

    partition: str | None
    minutes: int
    cpus: int
    memory: float
    gpus: int
    tasks: int = 1
    nodes: int = 1

    def __str__(self) -> str:
        hours, minutes = divmod(self.minutes, 60)
        many = "".join((f"{self.nodes} nodes x " * (self.nodes > 1), f"{self.tasks} processes x " * (self.tasks > 1)))
        gets = [
            f"{self.cpus} CPU{'s' * (self.cpus > 1)}",
            *([f"{self.gpus} GPU{'s' * (self.gpus > 1)}"] * bool(self.gpus)),
        ]
        place = [f"in {self.partition}"] if self.partition else []
        return ", ".join([f"{hours}:{minutes:02} h", many + " + ".join(gets), f"{self.memory:g} GB", *place])

    def executor(self, folder: Path, cluster: DictConfig, name: str, key: str, after: str) -> "SlurmExecutor":
        """Returns submitit's executor. key: of the task, by which its jobs are known. Raises BadInput without
        submitit."""
        try:
            from submitit import SlurmExecutor
        except ImportError:
            raise BadInput(NEEDED) from None
        given = OmegaConf.to_container(cluster.sbatch, resolve=True)
        waits = {"dependency": after, "kill-on-invalid-dep": "yes"} if after else {}
        found = SlurmExecutor(folder, max_num_timeout=cluster.timeouts)
        options = {
            "job_name": name,
            "comment": key,
            "time": self.minutes,
            "cpus_per_task": self.cpus,
            "mem": f"{round(self.memory * 1000)}M",
            "nodes": self.nodes,
            "ntasks_per_node": self.tasks,
            "gpus_per_node": self.gpus * self.tasks or None,
            "partition": self.partition,
            "account": cluster.account,
            "constraint": cluster.constraint,
            "setup": list(cluster.setup or []) or None,
            "signal_delay_s": min(WARNED, 15 * self.minutes),
            "array_parallelism": cluster.at_once,
            "stderr_to_stdout": True,
            "additional_parameters": {**given, **waits},
        }
        found.update_parameters(**{key: value for key, value in options.items() if value is not None})
        return found


def of_task(task: Task) -> Resources:
    """Returns what a task's jobs get. A training on several devices has a process for each."""
    cfg = task.run.cfg
    section = cfg.cluster[task.gets]
    found = Resources(section.partition, section.minutes, section.cpus, section.memory, section.gpus)
    stage = task.run.results[task.what].stage if task.what in task.run.results else None
    if stage is None or not stage.trains:
        return found
    devices, nodes = cfg.trainer.get("devices", 1), cfg.trainer.get("num_nodes", 1)
    if devices in (-1, "-1") or (isinstance(devices, str) and not devices.isdecimal()):
        raise BadInput(f"trainer.devices={devices} is not allowed here: jobs need a number of devices")
    count = len(devices) if OmegaConf.is_list(devices) else int(devices)
    return Resources(found.partition, found.minutes, found.cpus, found.memory, found.gpus, count, nodes)
