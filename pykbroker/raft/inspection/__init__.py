"""The metadata log's part of an inspection: what only those know who can replay it. Reads, never writes.

data_check      whole data directories, the metadata log first: it tells what the others should be
metadata_replay batches of the metadata log into an image, compared with the snapshots on the way
snapshot_check  *.checkpoint files
quorum_file     quorum-state
"""
