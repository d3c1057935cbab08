"""Function words of English and French, where candidate phrases end."""

from __future__ import annotations

ENGLISH = frozenset(
    """
    a about above across after again against all almost along also although always am among an and
    another any are around as at away back be became because become been before behind being below
    between both but by came can cannot come could did do does doing done down during each either
    enough especially etc even ever every few first for found from further gave get give given go
    got had has have having he hence her here hers him his how however i if in indeed instead into
    is it its itself just keep kept last least less let like made main make many may me might more
    moreover most much must my near neither never new next no nor not nothing now of off often on
    once one only onto or other others our out over own per perhaps present presented presents
    proposed propose put rather really same second see seem seems several shall she should show
    shown shows since so some something still such take than that the their them then there thereby
    therefore these they this those three through throughout thus to together too toward towards
    two under until up upon us use used uses using various very via was way we well were what when
    where whereas whether which while who whole whom whose why will with within without would yet
    you your
    """.split()
)

FRENCH = frozenset(
    """
    a à afin ai ailleurs ainsi alors après assez au aucun aucune aujourd'hui auquel aura aurait
    aussi autant autre autres aux auxquelles auxquels avaient avait avant avec avoir avons ayant
    beaucoup bien c car ce ceci cela celle celles celui cependant certain certaine certaines
    certains ces cet cette ceux chaque chez ci comme comment contre d dans davantage de dedans
    dehors déjà depuis des dès deux devant doit doivent donc dont du durant elle elles en encore
    enfin entre environ es est et étaient était étant état été être eu eux faire fait font fois
    fut grâce hors ici il ils j je jusqu jusque l la là laquelle le lequel les lesquelles lesquels
    leur leurs lors lorsqu lorsque lui m ma mais malgré me même mêmes mes moi moins mon n ne ni non
    nos notre nous nouveau nouvelle nouvelles nouveaux on ont or ou où outre par parce parfois
    parmi pas peu peut peuvent plus plusieurs plutôt pour pourquoi près premier première puis
    puisqu puisque qu quand quant que quel quelle quelles quelqu quelque quelques quels qui quoi
    quoique s sa sans se selon sera serait seront ses seulement si sinon soi soient soit son sont
    sous souvent sur surtout t ta tandis te tel telle telles tels tes toi ton toujours tous tout
    toute toutefois toutes très trois trop tu un une va vers via voici voilà vos votre vous vu y
    permet permettent montre montrent propose proposons présente présentons thèse mémoire
    """.split()
)
