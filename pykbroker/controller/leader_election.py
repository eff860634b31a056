"""Leader, ISR and ELR of a partition after something happened to its replicas (PartitionChangeBuilder, KIP-966)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.ids import DIRECTORY_UNASSIGNED, Uuid
from pykbroker.metadata.features import allows_directories, bumps_epoch_on_isr_shrink
from pykbroker.metadata.partition_change import NO_LEADER_CHANGE
from pykbroker.metadata.topics import NO_LEADER, RECOVERING, PartitionImage

if TYPE_CHECKING:
    from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord

ONLINE = "online"
PREFERRED = "preferred"
UNCLEAN = "unclean"


class Rules(NamedTuple):
    """What holds for a partition's topic. `election`: ONLINE, PREFERRED or UNCLEAN; `min_isr`: at most all replicas."""

    metadata_version: int
    elr_enabled: bool
    min_isr: int
    election: str = ONLINE


class Assignment(NamedTuple):
    """Which replicas there are, and which of them come or go by a reassignment (KIP-455)."""

    replicas: tuple[int, ...]
    removing: tuple[int, ...] = ()
    adding: tuple[int, ...] = ()


class _Target(NamedTuple):
    isr: tuple[int, ...]
    elr: tuple[int, ...]
    assignment: Assignment


class _Election(NamedTuple):
    leader: int
    unclean: bool = False


def partition_change(
    partition: PartitionImage,
    topic_id: Uuid,
    index: int,
    *,
    isr: Sequence[int],
    is_acceptable: Callable[[int], bool],
    rules: Rules,
    unclean_shutdown: Iterable[int] = (),
    assignment: Assignment | None = None,
    directory_of: Callable[[int], Uuid] = lambda _: DIRECTORY_UNASSIGNED,
    directories: Mapping[int, Uuid] | None = None,
    recovery_state: int | None = None,
) -> "PartitionChangeRecord | None":
    """The record that takes the partition to the target `isr` and the leader that follows; None when nothing changes.

    `is_acceptable` says which brokers may lead; `unclean_shutdown` are brokers that may have lost their data;
    `assignment`: the replicas it gets, without one those it has. `directory_of`: the log directory of a new replica;
    `directories`: replicas whose log directory changes; `recovery_state`: what its leader says of itself.
    """
    from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord

    record = PartitionChangeRecord(topic_id=topic_id, partition_id=index)
    wanted = assignment or Assignment(partition.replicas, partition.removing_replicas, partition.adding_replicas)
    target = _target(partition, *completed(wanted, tuple(isr)), rules, frozenset(unclean_shutdown))
    target = _elect(record, partition, target, is_acceptable, rules)
    if record.leader == NO_LEADER_CHANGE and not set(partition.replicas) <= set(target.assignment.replicas):
        record.leader = partition.leader  # a new leader epoch, so that a removed replica is fenced
    _set_elr(record, partition, target, rules)
    # Only with ELR may an ISR become empty.
    if record.isr is None and target.isr != partition.isr and (target.isr or rules.elr_enabled):
        record.isr = list(target.isr)
    _bump_epoch_on_shrink(record, partition, rules)
    _set_last_known_leader(record, partition, rules)
    _set_assignment(record, partition, target.assignment)
    if recovery_state is not None and recovery_state != partition.leader_recovery_state:
        record.leader_recovery_state = recovery_state
    if allows_directories(rules.metadata_version):
        _set_directories(record, partition, target.assignment.replicas, directory_of, directories or {})
    return None if _is_empty(record) else record


def completed(assignment: Assignment, isr: tuple[int, ...]) -> tuple[Assignment, tuple[int, ...]]:
    """A reassignment ends once those that came are in sync, one that shrinks once all that stay are.

    Kafka: PartitionReassignmentReplicas.
    """
    replicas, removing, adding = assignment
    staying = tuple(replica for replica in replicas if replica not in removing)
    staying_isr = tuple(replica for replica in isr if replica not in removing)
    awaited = staying if len(adding) < len(removing) else adding
    is_over = staying and staying_isr and set(awaited) <= set(staying_isr)
    if not (removing or adding) or not is_over:
        return assignment, isr
    return Assignment(staying), staying_isr


def _target(
    partition: PartitionImage, assignment: Assignment, isr: tuple[int, ...], rules: Rules, unclean: frozenset[int]
) -> _Target:
    """The ELR takes in who leaves an ISR that is too small, and gives up who may have lost data."""
    if not rules.elr_enabled:
        return _Target(isr, partition.elr, assignment)
    if len(isr) >= rules.min_isr:
        return _Target(isr, (), assignment)
    # In ascending order, as the real controller's set of small numbers iterates.
    candidates = {*partition.elr, *partition.isr}.difference(isr, unclean)
    return _Target(isr, tuple(sorted(candidates)), assignment)


def _elect(
    record: "PartitionChangeRecord",
    partition: PartitionImage,
    target: _Target,
    is_acceptable: Callable[[int], bool],
    rules: Rules,
) -> _Target:
    election = _election(partition, target, is_acceptable, rules)
    if election.leader == partition.leader:
        return target
    record.leader = election.leader
    if election.unclean:
        # Data may be lost: whoever leads now is alone in the ISR and says so.
        record.isr = [election.leader]
        if partition.leader_recovery_state != RECOVERING:
            record.leader_recovery_state = RECOVERING
        return target
    if election.leader in target.elr:
        return target._replace(isr=(election.leader,), elr=tuple(r for r in target.elr if r != election.leader))
    return target


def _election(
    partition: PartitionImage, target: _Target, is_acceptable: Callable[[int], bool], rules: Rules
) -> _Election:
    def is_valid(replica: int) -> bool:
        member = replica in target.isr or (not target.isr and replica in target.elr)
        return member and is_acceptable(replica)

    replicas = target.assignment.replicas
    preferred = replicas[0]
    if rules.election == PREFERRED and is_valid(preferred):
        return _Election(preferred)
    if is_valid(partition.leader):
        return _Election(partition.leader)
    for replica in replicas:
        if is_valid(replica):
            return _Election(replica)
    if _may_elect_last_known(partition, target, rules) and is_acceptable(partition.last_known_elr[0]):
        return _Election(partition.last_known_elr[0], unclean=True)
    if rules.election == UNCLEAN:
        for replica in replicas:
            if is_acceptable(replica):
                return _Election(replica, unclean=True)
    return _Election(NO_LEADER)


def _may_elect_last_known(partition: PartitionImage, target: _Target, rules: Rules) -> bool:
    """Balanced recovery: nobody is eligible any more, and one replica is known to have led last."""
    return rules.elr_enabled and not target.isr and not target.elr and len(partition.last_known_elr) == 1


def _set_elr(record: "PartitionChangeRecord", partition: PartitionImage, target: _Target, rules: Rules) -> None:
    elr = target.elr if record.isr is None and rules.elr_enabled else ()
    if elr != partition.elr:
        record.eligible_leader_replicas = list(elr)


def _bump_epoch_on_shrink(record: "PartitionChangeRecord", partition: PartitionImage, rules: Rules) -> None:
    if not bumps_epoch_on_isr_shrink(rules.metadata_version) or record.leader != NO_LEADER_CHANGE or record.isr is None:
        return
    if not set(partition.isr) <= set(record.isr):
        record.leader = partition.leader


def _set_last_known_leader(record: "PartitionChangeRecord", partition: PartitionImage, rules: Rules) -> None:
    if not rules.elr_enabled:
        return
    if record.leader == NO_LEADER and not partition.last_known_elr:
        record.last_known_elr = [partition.leader]
    elif record.leader >= 0 and partition.last_known_elr:
        record.last_known_elr = []


def _set_assignment(record: "PartitionChangeRecord", partition: PartitionImage, assignment: Assignment) -> None:
    if assignment.replicas != partition.replicas:
        record.replicas = list(assignment.replicas)
    if assignment.removing != partition.removing_replicas:
        record.removing_replicas = list(assignment.removing)
    if assignment.adding != partition.adding_replicas:
        record.adding_replicas = list(assignment.adding)


def _set_directories(
    record: "PartitionChangeRecord",
    partition: PartitionImage,
    replicas: tuple[int, ...],
    directory_of: Callable[[int], Uuid],
    changes: Mapping[int, Uuid],
) -> None:
    present = dict(zip(partition.replicas, partition.directories, strict=True))
    known = {**present, **changes}
    wanted = [known[replica] if replica in known else directory_of(replica) for replica in replicas]
    if wanted != list(partition.directories):
        record.directories = wanted


def _is_empty(record: "PartitionChangeRecord") -> bool:
    return (
        record.isr is None
        and record.leader == NO_LEADER_CHANGE
        and record.eligible_leader_replicas is None
        and record.last_known_elr is None
        and record.leader_recovery_state == -1
        and record.replicas is None
        and record.removing_replicas is None
        and record.adding_replicas is None
        and record.directories is None
    )
