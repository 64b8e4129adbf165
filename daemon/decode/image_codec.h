// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// ImageEvent and SymbolsEvent as bytes: what the prober found travels to the model as a record like any other, so that
// a recording replays to the same result without the files. Format: fields in order of declaration,
// integers as uint64, strings as length and bytes; both sides are this one file, and the recording's
// format number changes with it.

#ifndef STARTSCOPE_DAEMON_DECODE_IMAGE_CODEC_H_
#define STARTSCOPE_DAEMON_DECODE_IMAGE_CODEC_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/decode/event.h"

namespace startscope {

// The facts alone: what a sandboxed reader of files answers with.
std::vector<uint8_t> EncodeImageFacts(const ImageFacts& facts);
std::optional<ImageFacts> DecodeImageFacts(std::span<const uint8_t> bytes);

std::vector<uint8_t> EncodeImageEvent(const ImageEvent& event);
std::vector<uint8_t> EncodeSymbolsEvent(const SymbolsEvent& event);

// nullopt when the bytes are not exactly one encoded event, or some value is out of its range.
std::optional<ImageEvent> DecodeImageEvent(std::span<const uint8_t> bytes);
std::optional<SymbolsEvent> DecodeSymbolsEvent(std::span<const uint8_t> bytes);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DECODE_IMAGE_CODEC_H_
