"""Plans of what `scaling eval` measures: a study's own checkpoints, or other people's files.

Such a plan has a stop for each checkpoint, with the tasks to measure there;
`scaling.orchestrator.evaluation` carries it out.
"""
