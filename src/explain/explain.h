/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain: the door of the room that answers questions to a policy.
 *
 *   state     a machine's export, loaded                    explain_state_open()
 *   question  connect, accept, listen, bind, packet         explain_question_add()
 *   problem   the question over finitely many classes       explain_problem_build()
 *   answer    PERMITTED, BLOCKED, DEPENDS, with proof       explain_answer()
 *   why not   the failing condition, the filter ahead       explain_why_not()
 *   endpoints every recorded connection of an export        explain_endpoints()
 *   words     conditions and values for people              explain_requirements(), explain_value_words()
 */
#ifndef WEIR_EXPLAIN_EXPLAIN_H
#define WEIR_EXPLAIN_EXPLAIN_H

#include "explain/answer.h"
#include "explain/endpoints.h"
#include "explain/question.h"
#include "explain/state.h"
#include "explain/whynot.h"
#include "explain/words.h"

#endif
