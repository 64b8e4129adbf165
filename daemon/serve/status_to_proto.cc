// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/base/text_escape.h"
#include "daemon/model/mark_names.h"
#include "daemon/serve/startup_to_proto.h"

namespace startscope {
namespace {

void ToProto(const InspectorState& from, v1::InspectorStatus* to) {
  to->set_running(from.running);
  to->set_requests(from.requests);
  to->set_restarts(from.restarts);
  to->set_timeouts(from.timeouts);
  for (const std::string& refused : from.refused) EscapeToUtf8(refused, to->add_refused());
  to->set_sandbox(from.sandbox);
}

void ToProto(const ProbeCosts& from, v1::Calibration* to) {
  to->set_uprobe_hit_ns(from.uprobe_hit_ns);
  to->set_record_ns(from.record_ns);
  if (from.completed_fault_ns != 0) to->set_completed_fault_ns(from.completed_fault_ns);
  if (from.mapping_ns != 0) to->set_mapping_ns(from.mapping_ns);
  if (from.breakpoint_page_ns != 0) to->set_breakpoint_page_ns(from.breakpoint_page_ns);
}

}  // namespace

void ToProto(const DaemonStatus& from, v1::GetStatusResponse* to) {
  if (from.costs) ToProto(*from.costs, to->mutable_calibration());
  to->set_abi_version(from.abi_version);
  EscapeToUtf8(from.kernel_release, to->mutable_kernel()->mutable_release());
  EscapeToUtf8(from.machine, to->mutable_kernel()->mutable_machine());
  for (const DaemonStatus::Feature& feature : from.features) {
    v1::KernelFeature* added = to->mutable_kernel()->add_features();
    added->set_name(feature.name);
    added->set_available(feature.available);
    EscapeToUtf8(feature.detail, added->mutable_detail());
  }
  for (const DaemonStatus::Probe& probe : from.probes) {
    v1::ProbeStatus* added = to->add_probes();
    added->set_name(probe.name);
    added->set_state(ToEnum<v1::ProbeState>(probe.state));
    added->set_attachments(probe.attachments);
    EscapeToUtf8(probe.detail, added->mutable_detail());
  }
  for (const DaemonStatus::Loss& loss : from.losses) {
    v1::LossCounter* added = to->add_losses();
    added->set_stage(ToEnum<v1::LossStage>(loss.stage));
    added->set_produced(loss.produced);
    added->set_lost(loss.lost);
    added->set_knob(loss.knob);
    added->set_name(loss.name);
    added->set_eviction(loss.eviction);
    added->set_consequence(loss.consequence);
  }
  for (const DaemonStatus::Image& image : from.images) {
    v1::ImageStatus* added = to->add_images();
    const ImageFacts& facts = *image.facts;
    EscapeToUtf8(facts.path, added->mutable_path());
    added->set_device(DeviceText(facts.file));
    added->set_inode(facts.file.inode);
    RuntimeInfo runtime;
    runtime.libc = facts.libc;
    runtime.linkage = facts.linkage;
    runtime.language = facts.language;
    runtime.evidence = facts.evidence;
    runtime.libc_version = facts.libc_version;
    ToProto(runtime, added->mutable_runtime());
    for (const MarkSite& site : facts.sites) {
      if ((image.attached_marks & (1u << static_cast<unsigned>(site.kind))) == 0) continue;
      added->add_marks(absl::StrCat(MarkName(site.kind), " at file offset ", site.file_offset));
    }
    EscapeToUtf8(image.error, added->mutable_error());
    added->set_build_id(facts.build_id);
    added->set_init_functions(facts.init_functions.size() + facts.init_functions_omitted);
    for (const MarkSite& site : facts.sites) {
      v1::MarkSite* place = added->add_sites();
      place->set_mark(MarkName(site.kind));
      place->set_rung(ToEnum<v1::BoundarySource>(SourceOfRung(site.rung)));
      EscapeToUtf8(site.symbol, place->mutable_symbol());
      place->set_file_offset(site.file_offset);
      place->set_attached((image.attached_marks & (1u << static_cast<unsigned>(site.kind))) != 0);
      place->set_single_stepped(site.cost == StepCost::kSingleStepped);
    }
  }
  to->set_startups_seen(from.startups_seen);
  to->set_startups_open(from.startups_open);
  to->set_records_received(from.records_received);
  ToProto(from.inspector, to->mutable_inspector());
}

}  // namespace startscope
