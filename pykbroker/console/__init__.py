"""Several brokers on one machine: `pykbroker serve --brokers N`, and `pykbroker cluster` that talks to it.

supervisor     states of the brokers' processes: events in, effects out. Pure
settings       what the controller and each broker are started with. Pure
status         what `cluster status` shows, from the metadata image and the processes
lines          lines of a process, marked with its number
socket_path    where the console listens
spawner        the process from which brokers are forked, everything imported
processes_loop those processes, their pipes and ends
console_loop   the embedded controller, the brokers, signals, the socket

The console process is the controller alone, so that any broker may be killed. May import all below cli.
"""
