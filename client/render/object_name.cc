// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/object_name.h"

#include "client/render/text_sanitizer.h"

namespace startscope {

using startscope::v1::MappedObject;

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string ObjectName(const MappedObject& object, bool utf8) {
  if (!object.path().empty()) {
    return SanitizeText(object.path(), utf8) + (object.deleted() ? " (deleted)" : "");
  }
  if (!object.soname().empty()) return SanitizeText(object.soname(), utf8);
  switch (object.kind()) {
    case startscope::v1::OBJECT_KIND_STACK:
      return "[stack]";
    case startscope::v1::OBJECT_KIND_HEAP:
      return "[heap]";
    case startscope::v1::OBJECT_KIND_VDSO:
      return "[vdso]";
    case startscope::v1::OBJECT_KIND_ANONYMOUS:
      return "[anonymous]";
    default:
      return "[unnamed]";
  }
}

std::string ShortObjectName(const MappedObject& object, bool utf8) {
  const std::string base = BaseName(object.path());
  if (base.empty()) return ObjectName(object, utf8);
  return SanitizeText(base, utf8) + (object.deleted() ? " (deleted)" : "");
}

}  // namespace startscope
