#pragma once

#include <juce_core/juce_core.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "block.hpp"
#include "nn/model.hpp"

namespace amp::plugin {

/// A file, state or rig that cannot be taken; the text is a sentence for the player.
class Refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a file holds, read and tried, and its bytes to be embedded. Immutable; one in the process
/// for all instances that play it.
struct Content {
  std::string sha256;                      ///< of the file's bytes, 64 hex digits
  juce::MemoryBlock packed;                ///< the file's bytes, zlib
  int64_t size = 0;                        ///< of the file, in bytes
  std::shared_ptr<const nn::Model> model;  ///< one of the two
  std::shared_ptr<const Impulse> impulse;
};

/// A model or impulse response as an instance has it.
struct File {
  enum class Origin {
    kDisk,      ///< `path` holds these very bytes
    kEmbedded,  ///< the project's copy: the file is gone, or is another one now
    kMissing,   ///< there is neither
  };
  std::string name;  ///< with its ending: "plexi.nam"
  juce::String path;
  Origin origin = Origin::kDisk;
  std::string sha256;                      ///< of what is wanted; stands where content is missing
  std::shared_ptr<const Content> content;  ///< null where it is missing

  [[nodiscard]] std::string stem() const;
};
using FilePtr = std::shared_ptr<const File>;

enum class FileKind { kModel, kImpulse, kRig, kUnknown };
/// By the name's ending. Thread: any.
FileKind kind_of(const juce::File& file);

/// Endings with a dot that the browser of a folder shows, and choosers as patterns.
inline constexpr const char* kModelPattern = "*.nam;*.json;*.aidax";
inline constexpr const char* kImpulsePattern = "*.wav;*.flac;*.aif;*.aiff";
inline constexpr const char* kRigPattern = "*.yaml;*.yml";

/// Read a model or an impulse response. Raises Refused, nn::LoadError. Thread: any; it blocks.
FilePtr read_file(const juce::File& file, FileKind kind);

/// The same from a project's copy: packed is zlib of a file with this hash. Raises Refused where
/// the bytes are others. Thread: any; it blocks.
std::shared_ptr<const Content> unpack(const juce::MemoryBlock& packed, int64_t size,
                                      const std::string& sha256, const std::string& name,
                                      FileKind kind);

/// SHA-256 of a file's bytes, "" where it cannot be read. Thread: any; it blocks.
std::string hash_of(const juce::File& file);

}  // namespace amp::plugin
