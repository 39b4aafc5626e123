"""The study of the design, and the same with only the steps that are built."""

DESIGN = """\
study: cones-two-stage
question: Does pre-training on cone-detector lift FSOCO-12 mAP50?
task: detect                       # detect | pose
datasets:
  big:   {path: cone-detector/data.yaml, licence: CC-BY-4.0}
  bench: {path: FSOCO-12/data.yaml, groups: '^(?P<group>[^_]+)_', lock: [test]}
arms:
  single:    [{weights: yolo12n.pt, data: bench, recipe: {epochs: 300, optimizer: SGD, lr0: 0.01}}]
  two_stage:
    - {weights: yolo12n.pt, data: big, recipe: {epochs: 200, optimizer: SGD, lr0: 0.01, patience: 50}}
    - {data: bench, recipe: {epochs: 150, optimizer: SGD, lr0: 0.001, patience: 30}}
seeds: [0, 1, 2]
gates:
  lift: {metric: mAP50, treatment: two_stage, control: single, on: bench.test, margin: 0.01}
flow: [check, probe, train, lift, export]
budget: {usd: 200, gpu_hours: 120}
"""
BUILT = DESIGN.replace("[check, probe, train, lift, export]", "[check, train, lift]")
