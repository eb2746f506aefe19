"""What every provider is held to, written once: laws, and what they need to know of a layer (a stand).

A package of somebody else runs it so, whatever kind of target it has:

    @pytest.mark.parametrize("law", suite.LAWS, ids=str)
    async def test_law(law: trial.Law, tmp_path: pathlib.Path) -> None:
        await suite.hold(law, MyStand(tmp_path))
"""
