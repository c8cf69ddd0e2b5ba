#include "topics.h"

void export_streams(Napi::Env, Napi::Object) {}
