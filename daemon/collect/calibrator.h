// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_CALIBRATOR_H_
#define STARTSCOPE_DAEMON_COLLECT_CALIBRATOR_H_

#include "absl/status/statusor.h"
#include "daemon/base/probe_costs.h"
#include "daemon/collect/bpf_object.h"
#include "daemon/collect/kernel_features.h"
#include "daemon/collect/probe_attacher.h"

namespace startscope {

// Measures what our probes cost a followed process here: a child of ours, forked for it, does the same
// work with nothing attached and with one kind of probe after the other. Takes some tens of milliseconds,
// in which those probes are attached; afterwards nothing is, and all counters are at zero again. Call
// before anything else is attached and before the ring is read. What could not be measured (a probe that
// this kernel lacks, noise that swallowed the difference) is left at 0.
absl::StatusOr<ProbeCosts> CalibrateProbes(BpfObject* object, ProbeAttacher* attacher);

// The same while a daemon is at work, whose probes and counters it leaves alone: with a BPF object that
// is loaded for it and gone afterwards. What the probes of watches cost a process that they do not follow
// is in both of what is compared. Takes some hundred milliseconds; any thread.
absl::StatusOr<ProbeCosts> CalibrateProbesApart(const KernelFeatures& features,
                                                const BpfObjectOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_CALIBRATOR_H_
