"""The file for Slurm, where two nodes are stood in for."""
# ruff: noqa: F401, F811

import os

from test_extract import ROOT, SMALL, TORCHRUN, assert_same, expected, one_thread, pictures, run

SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
"$@" & one=$!
"$@" & two=$!
wait $one && wait $two
"""


def test_the_file_for_slurm_runs_where_two_nodes_are_stood_in_for(tmp_path, expected, pictures):
    script, out, bin_ = ROOT / "tools/extract/extract.sbatch", tmp_path / "out", tmp_path / "bin"
    bin_.mkdir()
    for name, content in {
        "srun": SRUN,
        "scontrol": "#!/bin/bash\necho localhost\necho other\n",
        "torchrun": f'#!/bin/bash\nexec {" ".join(TORCHRUN)} "$@"\n',
    }.items():
        (bin_ / name).write_text(content)
        (bin_ / name).chmod(0o755)
    variables = {"PATH": f"{bin_}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "localhost,other"}
    variables |= {"SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "1", "SLURM_CPUS_PER_TASK": "1"}
    variables |= {"SLURM_JOB_ID": str(os.getpid())}
    status, printed = run(["bash", script, pictures, out, *SMALL], **variables)
    assert status == 0 and "process 1 of 2: 2 shards" in printed, printed
    assert_same(out, expected)
