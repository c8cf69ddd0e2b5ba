#include "topics.h"

void export_gzip(Napi::Env, Napi::Object) {}
